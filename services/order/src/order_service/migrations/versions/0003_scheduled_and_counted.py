"""Orders for later, the steps of the saga by name, and what there is to cook, counted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

OPEN = sa.text("status IN ('pending', 'confirmed', 'cooking')")


def upgrade() -> None:
    op.add_column("orders", sa.Column("pizzas", sa.Integer, nullable=False, server_default="1"))
    op.create_index(
        "ix_orders_open",
        "orders",
        ["saga_step", "priority", "created_at", "pizzas"],
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )
    later = sa.text("scheduled_for IS NOT NULL")
    op.create_index(
        "ix_orders_scheduled", "orders", ["scheduled_for"], postgresql_where=later, sqlite_where=later
    )
    # What the kitchen had accepted had no step any more.
    for step, statuses in (
        ("await_cook", "('confirmed', 'cooking')"),
        ("await_delivery", "('ready', 'delivering')"),
    ):
        op.execute(
            f"UPDATE orders SET saga_step = '{step}' "  # noqa: S608  constants
            f"WHERE saga_step IS NULL AND status IN {statuses}"
        )
