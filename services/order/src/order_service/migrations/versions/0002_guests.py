"""Sliding sessions, the guest's cart, notices that are due, and the mailbox."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("customers", sa.Column("cart_id", sa.String(36), nullable=True))
    _let_sessions_slide()
    _create_notices_due()
    _create_mailbox()


def _let_sessions_slide() -> None:
    op.add_column("sessions", sa.Column("idle_until", UtcDateTime, nullable=True))
    op.execute("UPDATE sessions SET idle_until = expires_at")
    with op.batch_alter_table("sessions") as sessions:
        sessions.alter_column("idle_until", existing_type=UtcDateTime, nullable=False)
    op.create_index("ix_sessions_idle_until", "sessions", ["idle_until"])


def _create_notices_due() -> None:
    op.create_table(
        "notices_due",
        sa.Column("order_id", sa.String(36), sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("letter_id", sa.String(36), nullable=False),
        sa.Column("happened_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "kind", name="pk_notices_due"),
    )
    op.create_index("ix_notices_due_sent_at", "notices_due", ["sent_at"])


def _create_mailbox() -> None:
    op.create_table(
        "mailbox",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("customer_id", sa.String(36), sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("order_id", sa.String(36), sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("order_id", "kind", name="uq_mailbox_notice"),
    )
    op.create_index("ix_mailbox_customer", "mailbox", ["customer_id", "id"])
