"""What happened to each ticket, for the journey of its order."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "ticket_history",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("order_id", sa.String(36), sa.ForeignKey("kitchen_orders.id"), nullable=False),
        sa.Column("ticket_id", sa.String(36), nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("station_id", sa.String(64)),
        sa.Column("fencing_token", sa.BigInteger, nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failure", sa.String(500)),
        sa.Column("trace_id", sa.String(32)),
    )
    op.create_index("ix_ticket_history_order_id", "ticket_history", ["order_id"])
