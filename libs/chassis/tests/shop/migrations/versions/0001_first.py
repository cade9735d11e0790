"""The tables of the chassis and one of our own."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import AmountColumn, UtcDateTime
from pizzeria_chassis.migrations import create_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "visits",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("paid", AmountColumn, nullable=False),
    )
