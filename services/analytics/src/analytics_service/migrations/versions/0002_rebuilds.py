"""Rebuilds of the projections, and the archive by time and by position."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_archive_time", "archive", ["time", "seq"])
    op.create_index("ix_archive_position", "archive", ["stream", "position"])
    op.create_table(
        "rebuilds",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("layout", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compared", sa.Boolean, nullable=True),
        sa.Column("differences", sa.Text, nullable=False),
    )
    op.create_index(
        "uq_rebuilds_open",
        "rebuilds",
        ["layout"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
