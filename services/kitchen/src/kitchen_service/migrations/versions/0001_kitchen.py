"""The kitchen's tables, its stations and its first stock."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import BigId, UtcDateTime
from pizzeria_chassis.migrations import create_chassis_tables

revision = "0001"
down_revision = None

STATIONS = {"grill-1": 2, "oven-1": 2, "oven-2": 2, "oven-3": 2}
PLENTY = 500_000
STOCK = {
    "bacon": PLENTY, "basil": PLENTY, "bbq-sauce": PLENTY, "chicken": PLENTY, "dough": PLENTY,
    "ham": PLENTY, "jalapenos": PLENTY, "mozzarella": PLENTY, "mushrooms": PLENTY, "olives": PLENTY,
    "onions": PLENTY, "pepperoni": PLENTY, "peppers": PLENTY, "sausage": PLENTY, "tomato-sauce": PLENTY,
    "pineapple": 40,  # scarce, so that everybody can see an order being rejected
}  # fmt: skip


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "kitchen_orders",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("driver_id", sa.String(100)),
        sa.Column("ready_at", UtcDateTime),
        sa.Column("departed_at", UtcDateTime),
        sa.Column("arrived_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_kitchen_orders"),
    )
    op.create_index("ix_kitchen_orders_deliveries", "kitchen_orders", ["status", "ready_at"])
    stations = op.create_table(
        "stations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.CheckConstraint("capacity > 0", name="ck_station_capacity"),
    )
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("order_id", sa.String(36), sa.ForeignKey("kitchen_orders.id"), nullable=False),
        sa.Column("pizza_id", sa.String(100), nullable=False),
        sa.Column("size", sa.String(10), nullable=False),
        sa.Column("toppings", sa.JSON, nullable=False),
        sa.Column("priority", sa.String(10), nullable=False),
        sa.Column("ingredients", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("rank", UtcDateTime, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("fencing_token", sa.BigInteger, nullable=False),
        sa.Column("claim_id", sa.String(400)),
        sa.Column("station_id", sa.String(64), sa.ForeignKey("stations.id")),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failure", sa.String(500)),
    )
    op.create_index("ix_tickets_order_id", "tickets", ["order_id"])
    op.create_index("ix_tickets_claim_id", "tickets", ["claim_id"])
    op.create_index("ix_tickets_status_rank", "tickets", ["status", "rank"])
    op.create_index("ix_tickets_status_finished", "tickets", ["status", "finished_at"])
    op.create_index("ix_tickets_station", "tickets", ["station_id", "status"])
    stock = op.create_table(
        "stock",
        sa.Column("ingredient", sa.String(64), nullable=False),
        sa.Column("initial", sa.BigInteger, nullable=False),
        sa.Column("restocked", sa.BigInteger, nullable=False),
        sa.Column("in_stock", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("consumed", sa.BigInteger, nullable=False),
        sa.Column("low_below", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("ingredient", name="pk_stock"),
        sa.CheckConstraint("in_stock >= 0 AND reserved >= 0 AND consumed >= 0", name="ck_stock_not_negative"),
        sa.CheckConstraint("initial + restocked = in_stock + reserved + consumed", name="ck_stock_adds_up"),
    )
    op.create_table(
        "stock_ledger",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("ingredient", sa.String(64), sa.ForeignKey("stock.ingredient"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("reference", sa.String(300), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.CheckConstraint("quantity > 0", name="ck_ledger_quantity"),
        sa.UniqueConstraint("kind", "reference", "ingredient", name="uq_stock_ledger_movement"),
    )
    op.create_table(
        "recipes",
        sa.Column("pizza_id", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ingredients", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("pizza_id", name="pk_recipes"),
    )
    op.bulk_insert(stations, [{"id": name, "capacity": capacity} for name, capacity in STATIONS.items()])
    op.bulk_insert(
        stock,
        [
            {
                "ingredient": name,
                "initial": portions,
                "restocked": 0,
                "in_stock": portions,
                "reserved": 0,
                "consumed": 0,
                "low_below": min(portions // 10, 500),
            }
            for name, portions in STOCK.items()
        ],
    )
