"""The tables of this service. The provider's own are in `sandbox_provider`, the chassis has the rest."""

from typing import Final

from pizzeria_chassis.columns import AmountColumn, BigId, UtcDateTime
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData()

# Keys that only a race between replicas can repeat; the slower transaction runs again.
RACES: Final = frozenset({"pk_provider_holdings", "pk_menu_copy", "customers_pkey"})

customers: Final = Table(
    "customers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("phone", String(32), nullable=True),
    Column("email", String(254), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    # The cart that counts; what Redis holds under another id was ordered, or comes from before a loss.
    Column("cart_id", String(36), nullable=True),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("customer_id", String(36), ForeignKey("customers.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    # The end however busy it is, and the end if nobody uses it; slid in steps, see ADR 0055.
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("idle_until", UtcDateTime, nullable=False, index=True),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), ForeignKey("customers.id"), nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    # Lines never change once sold and are always read with their order: one value, not rows of their own.
    Column("items", JSON, nullable=False),
    Column("total", AmountColumn, nullable=False),
    Column("priority", String(20), nullable=False),
    Column("scheduled_for", UtcDateTime, nullable=True),
    Column("delivery_address", Text, nullable=True),
    Column("notes", Text, nullable=True),
    Column("payment_token", String(100), nullable=False),
    Column("payment_status", String(20), nullable=False),
    Column("captured", AmountColumn, nullable=False),
    Column("refunded", AmountColumn, nullable=False),
    Column("cancellation", String(20), nullable=True),
    Column("closing", String(100), nullable=True),
    Column("estimated_ready_at", UtcDateTime, nullable=True),
    Column("saga_step", String(20), nullable=True),
    Column("saga_due_at", UtcDateTime, nullable=True),
    Column("saga_attempts", Integer, nullable=False),
    Column("traceparent", String(55), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    # As it stood before this column: the pizzas of old orders are not counted one by one.
    Column("pizzas", Integer, nullable=False, server_default="1"),
    Index("ix_orders_customer", "customer_id", "id"),
)

# As text, so that SQLite sees that the index serves the query.
OPEN: Final = text("orders.status IN ('pending', 'confirmed', 'cooking')")

# Asked for four times a second at most: how much is there to cook? Finished orders are not looked at.
Index(
    "ix_orders_open",
    orders.c.saga_step,
    orders.c.priority,
    orders.c.created_at,
    orders.c.pizzas,
    postgresql_where=text("status IN ('pending', 'confirmed', 'cooking')"),
    sqlite_where=text("status IN ('pending', 'confirmed', 'cooking')"),
)

Index(
    "ix_orders_scheduled",
    orders.c.scheduled_for,
    postgresql_where=orders.c.scheduled_for.is_not(None),
    sqlite_where=orders.c.scheduled_for.is_not(None),
)

# The saga asks "what is due?" several times a second; most orders have nothing left to do.
saga_due: Final = Index(
    "ix_orders_saga_due",
    orders.c.saga_due_at,
    postgresql_where=orders.c.saga_due_at.is_not(None),
    sqlite_where=orders.c.saga_due_at.is_not(None),
)

# What moved, as we know it. The key is the last line of defence: no order is captured twice.
payments: Final = Table(
    "payments",
    metadata,
    Column("order_id", String(36), ForeignKey("orders.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount", AmountColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("order_id", "kind", name="pk_payments"),
)

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("customer_id", String(36), nullable=False),
    Column("key", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("order_id", String(36), nullable=False),
    Column("body", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    PrimaryKeyConstraint("customer_id", "key", name="pk_idempotency"),
)

# What our own outbox does not tell of an order: events of others, retries.
journey: Final = Table(
    "journey",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("order_id", String(36), ForeignKey("orders.id"), nullable=False, index=True),
    Column("time", UtcDateTime, nullable=False),
    Column("type", String(100), nullable=False),
    Column("source", String(100), nullable=False),
    Column("trace_id", String(32), nullable=True),
    Column("detail", JSON, nullable=False),
)

# What guests are still to be told; written with the change that it tells of, gone once it is in the mailbox.
notices_due: Final = Table(
    "notices_due",
    metadata,
    Column("order_id", String(36), ForeignKey("orders.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    # Made with the change, so that letters are in the order of what happened.
    Column("letter_id", String(36), nullable=False),
    Column("happened_at", UtcDateTime, nullable=False),
    # When it was last put on its road, a task.
    Column("sent_at", UtcDateTime, nullable=False, index=True),
    PrimaryKeyConstraint("order_id", "kind", name="pk_notices_due"),
)

# What guests were told; each thing once.
mailbox: Final = Table(
    "mailbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer_id", String(36), ForeignKey("customers.id"), nullable=False),
    Column("order_id", String(36), ForeignKey("orders.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("content", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("order_id", "kind", name="uq_mailbox_notice"),
    Index("ix_mailbox_customer", "customer_id", "id"),
)

# One row: the last good answer of GET /menu.
menu_copy: Final = Table(
    "menu_copy",
    metadata,
    Column("id", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("id", name="pk_menu_copy"),
)
