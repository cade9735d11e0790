"""The kitchen's tables: its facts."""

from typing import Final

from pizzeria_chassis.columns import BigId, UtcDateTime
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

metadata: Final = MetaData()

# One row per order, locked by everybody who changes the order or one of its tickets.
orders: Final = Table(
    "kitchen_orders",
    metadata,
    Column("id", String(36), nullable=False),
    Column("status", String(12), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("estimated_ready_at", UtcDateTime),
    Column("driver_id", String(100)),
    Column("ready_at", UtcDateTime),
    Column("departed_at", UtcDateTime),
    Column("arrived_at", UtcDateTime),
    PrimaryKeyConstraint("id", name="pk_kitchen_orders"),
    Index("ix_kitchen_orders_deliveries", "status", "ready_at"),
)

stations: Final = Table(
    "stations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("capacity", Integer, CheckConstraint("capacity > 0", name="ck_station_capacity"), nullable=False),
    Column("skills", JSON, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("seen_at", UtcDateTime),
)

tickets: Final = Table(
    "tickets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("order_id", String(36), ForeignKey("kitchen_orders.id"), nullable=False, index=True),
    Column("pizza_id", String(100), nullable=False),
    Column("size", String(10), nullable=False),
    Column("toppings", JSON, nullable=False),
    Column("priority", String(10), nullable=False),
    Column("skill", String(10), nullable=False),
    Column("ingredients", JSON, nullable=False),  # portions reserved for it
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("rank", UtcDateTime, nullable=False),
    Column("status", String(10), nullable=False),
    Column("fencing_token", BigInteger, nullable=False),
    Column("claim_id", String(400), index=True),
    Column("station_id", String(64), ForeignKey("stations.id")),
    Column("lease_until", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("failure", String(500)),
    Index("ix_tickets_status_rank", "status", "rank"),
    Index("ix_tickets_status_finished", "status", "finished_at"),
    Index("ix_tickets_station", "station_id", "status"),
)

# Claims, leases and attempts, one line each, written with the change itself and never changed.
ticket_history: Final = Table(
    "ticket_history",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("order_id", String(36), ForeignKey("kitchen_orders.id"), nullable=False, index=True),
    Column("ticket_id", String(36), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("what", String(20), nullable=False),
    Column("station_id", String(64)),
    Column("fencing_token", BigInteger, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("attempt", Integer, nullable=False),
    Column("failure", String(500)),
    Column("trace_id", String(32)),
)

stock: Final = Table(
    "stock",
    metadata,
    Column("ingredient", String(64), nullable=False),
    Column("initial", BigInteger, nullable=False),
    Column("restocked", BigInteger, nullable=False),
    Column("in_stock", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("consumed", BigInteger, nullable=False),
    Column("low_below", BigInteger, nullable=False),
    PrimaryKeyConstraint("ingredient", name="pk_stock"),
    # Invariant I4, once more, where nobody gets past it.
    CheckConstraint("in_stock >= 0 AND reserved >= 0 AND consumed >= 0", name="ck_stock_not_negative"),
    CheckConstraint("initial + restocked = in_stock + reserved + consumed", name="ck_stock_adds_up"),
)

ledger: Final = Table(
    "stock_ledger",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("ingredient", String(64), ForeignKey("stock.ingredient"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column(
        "quantity", BigInteger, CheckConstraint("quantity > 0", name="ck_ledger_quantity"), nullable=False
    ),
    Column("reference", String(300), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("kind", "reference", "ingredient", name="uq_stock_ledger_movement"),
)

recipes: Final = Table(
    "recipes",
    metadata,
    Column("pizza_id", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("ingredients", JSON, nullable=False),
    PrimaryKeyConstraint("pizza_id", name="pk_recipes"),
)
