"""The archive, and the tables of the chassis."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import BigId
from pizzeria_chassis.migrations import create_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "archive",
        sa.Column("seq", BigId, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("stream", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=True),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.UniqueConstraint("event_id", name="uq_archive_event_id"),
    )
    op.create_index("ix_archive_subject", "archive", ["subject", "seq"])
