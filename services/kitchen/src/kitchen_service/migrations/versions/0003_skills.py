"""Stations have skills and may be closed; orders keep what was estimated for them."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import UtcDateTime

revision = "0003"
down_revision = "0002"

ALL = '["grill", "oven"]'


def upgrade() -> None:
    # Every station can do everything until a manager says otherwise.
    op.add_column("stations", sa.Column("skills", sa.JSON, nullable=False, server_default=ALL))
    op.add_column("stations", sa.Column("open", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("stations", sa.Column("seen_at", UtcDateTime))
    op.add_column("tickets", sa.Column("skill", sa.String(10), nullable=False, server_default="oven"))
    op.add_column("kitchen_orders", sa.Column("estimated_ready_at", UtcDateTime))
