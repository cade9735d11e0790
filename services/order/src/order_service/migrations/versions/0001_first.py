"""Guests, orders, payments, and the ledger of the sandbox provider."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import AmountColumn, BigId, UtcDateTime
from pizzeria_chassis.migrations import create_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    _create_guests()
    _create_orders()
    _create_beside_orders()
    _create_provider()


def _create_guests() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.String(36), sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_sessions_customer_id", "sessions", ["customer_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("customer_id", sa.String(36), sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
        sa.Column("total", AmountColumn, nullable=False),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("scheduled_for", UtcDateTime, nullable=True),
        sa.Column("delivery_address", sa.Text, nullable=True),
        sa.Column("notes", sa.Text, nullable=True),
        sa.Column("payment_token", sa.String(100), nullable=False),
        sa.Column("payment_status", sa.String(20), nullable=False),
        sa.Column("captured", AmountColumn, nullable=False),
        sa.Column("refunded", AmountColumn, nullable=False),
        sa.Column("cancellation", sa.String(20), nullable=True),
        sa.Column("closing", sa.String(100), nullable=True),
        sa.Column("estimated_ready_at", UtcDateTime, nullable=True),
        sa.Column("saga_step", sa.String(20), nullable=True),
        sa.Column("saga_due_at", UtcDateTime, nullable=True),
        sa.Column("saga_attempts", sa.Integer, nullable=False),
        sa.Column("traceparent", sa.String(55), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_orders_customer", "orders", ["customer_id", "id"])
    due = sa.text("saga_due_at IS NOT NULL")
    op.create_index("ix_orders_saga_due", "orders", ["saga_due_at"], postgresql_where=due, sqlite_where=due)


def _create_beside_orders() -> None:
    op.create_table(
        "payments",
        sa.Column("order_id", sa.String(36), sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("amount", AmountColumn, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "kind", name="pk_payments"),
    )
    op.create_table(
        "idempotency",
        sa.Column("customer_id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
    op.create_table(
        "journey",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("order_id", sa.String(36), sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=True),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("ix_journey_order_id", "journey", ["order_id"])
    op.create_table(
        "menu_copy",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("fetched_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_menu_copy"),
    )


def _create_provider() -> None:
    op.create_table(
        "provider_holdings",
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("amount", AmountColumn, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_provider_holdings"),
    )
    op.create_table(
        "provider_movements",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("amount", AmountColumn, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_provider_movements_key", "provider_movements", ["key"])
