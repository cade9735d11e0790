"""Dead letters in SQL, what operators did, and how far the inbox has been forgotten."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.columns import BigId, UtcDateTime

revision = "chassis_0001"
down_revision = None
branch_labels = ("chassis",)


def upgrade() -> None:
    op.create_table(
        "inbox_forgotten",
        sa.Column("stream", sa.String(100), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("stream", name="pk_inbox_forgotten"),
    )
    op.create_table(
        "operator_log",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("action", sa.String(30), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
    )
    letters = op.create_table(
        "dead_letter",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("stream", sa.String(100), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(100), nullable=True),
        sa.Column("type", sa.String(100), nullable=True),
        sa.Column("reason", sa.String(30), nullable=False),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("traceback", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("redrives", sa.Integer, nullable=False, server_default="0"),
        sa.Column("entry", sa.Text, nullable=True),
        sa.Column("edited", sa.Text, nullable=True),
        sa.Column("copy", sa.String(200), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("died_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=True),
        sa.UniqueConstraint("stream", "key", name="uq_dead_letter_key"),
    )
    op.create_index("ix_dead_letter_state", "dead_letter", ["stream", "state", "due_at"])
    bind = op.get_bind()
    if not sa.inspect(bind).has_table("inbox"):
        return  # a new database: the service's first version comes after this one
    inbox = sa.table("inbox", *(sa.column(name) for name in ("stream", "event_id", "status", "at")))
    known = (inbox.c.stream, inbox.c.event_id, inbox.c.at)
    why = sa.literal("unknown"), sa.literal("It died before reasons were kept here."), sa.literal(0)
    dead = sa.select(*known, *why, sa.literal("waiting")).where(inbox.c.status == "dead")
    columns = ["stream", "key", "died_at", "reason", "error", "attempts", "state"]
    op.execute(letters.insert().from_select(columns, dead))
