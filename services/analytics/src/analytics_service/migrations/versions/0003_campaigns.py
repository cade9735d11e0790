"""Campaigns with their audiences, and snapshots of past moments."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "snapshots",
        sa.Column("layout", sa.Integer, primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("segments", sa.Text, nullable=False),
        sa.Column("audience_size", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.UniqueConstraint("idempotency_key", name="uq_campaigns_idempotency_key"),
    )
    op.create_table(
        "campaign_members",
        sa.Column("campaign_id", sa.String(36), primary_key=True),
        sa.Column("customer_id", sa.String(100), primary_key=True),
    )
