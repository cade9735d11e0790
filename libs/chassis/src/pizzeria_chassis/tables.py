"""Tables that every service has: the outbox of its own events and the inbox of others'.

Services create those of version 1 in their first migration by ``migrations.create_chassis_tables``; what came
later is in ``ADDED`` and comes with the chassis' own migrations (ADR 0037).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pizzeria_chassis.columns import BigId, UtcDateTime

__all__ = [
    "ADDED",
    "dead_letter",
    "inbox",
    "inbox_forgotten",
    "inbox_position",
    "metadata",
    "operator_log",
    "outbox",
    "relay_lead",
]

metadata: Final = MetaData()

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False),
    Column("stream", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String(100), nullable=False),
    Column("envelope", Text, nullable=False),
    # Given by the relay once the row is committed: the place of the event in this service's history.
    Column("position", BigInteger, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime, nullable=True),
    UniqueConstraint("event_id", name="uq_outbox_event_id"),
    UniqueConstraint("position", name="uq_outbox_position"),
    UniqueConstraint("stream", "subject", "sequence", name="uq_outbox_sequence"),
)

# The relay asks ten times a second what is new; history grows without end.
Index(
    "ix_outbox_unplaced",
    outbox.c.id,
    postgresql_where=outbox.c.position.is_(None),
    sqlite_where=outbox.c.position.is_(None),
)
Index(
    "ix_outbox_unsent",
    outbox.c.position,
    postgresql_where=outbox.c.sent_at.is_(None),
    sqlite_where=outbox.c.sent_at.is_(None),
)

inbox: Final = Table(
    "inbox",
    metadata,
    Column("stream", String(100), nullable=False),
    Column("event_id", String(100), nullable=False),
    Column("position", BigInteger, nullable=True),
    Column("status", String(10), nullable=False),  # applied | ignored | dead | dropped
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("stream", "event_id", name="pk_inbox"),
    Index("ix_inbox_position", "stream", "position"),
)

inbox_position: Final = Table(
    "inbox_position",
    metadata,
    Column("stream", String(100), nullable=False),
    # Every event of the stream up to here is applied, ignored or dead.
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("stream", name="pk_inbox_position"),
)

# Used on SQLite only; PostgreSQL has advisory locks.
relay_lead: Final = Table(
    "relay_lead",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("holder", String(36), nullable=False),
    # Whether the holder has the lock on the file as well, so that whoever gets that lock knows of its death.
    Column("locked", Boolean, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

inbox_forgotten: Final = Table(
    "inbox_forgotten",
    metadata,
    Column("stream", String(100), nullable=False),
    # Rows of the inbox up to here may be gone: an event at or below it is known.
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("stream", name="pk_inbox_forgotten"),
)

dead_letter: Final = Table(
    "dead_letter",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("stream", String(100), nullable=False),
    # The event's id; an entry that held no event is known by that of the entry, as entry:<stream>:<id>.
    Column("key", String(200), nullable=False),
    Column("subject", String(100), nullable=True),
    Column("type", String(100), nullable=True),
    Column("reason", String(30), nullable=False),
    Column("error", String(500), nullable=False),
    Column("traceback", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False),
    Column("redrives", Integer, nullable=False, server_default="0"),
    # The event as it came; null for one that died before this table was, which the feed still has.
    Column("entry", Text, nullable=True),
    # What an operator made of it, which is handled in its place.
    Column("edited", Text, nullable=True),
    # Where the same letter lies in Redis, as <stream>/<id>; there it is a copy, and bounded.
    Column("copy", String(200), nullable=True),
    Column("state", String(10), nullable=False),  # waiting | redriving | redriven | dropped
    Column("died_at", UtcDateTime, nullable=False),
    # While redriving: not before. Once redriven or dropped: since when.
    Column("due_at", UtcDateTime, nullable=True),
    UniqueConstraint("stream", "key", name="uq_dead_letter_key"),
    Index("ix_dead_letter_state", "stream", "state", "due_at"),
)

operator_log: Final = Table(
    "operator_log",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(100), nullable=False),
    Column("action", String(30), nullable=False),
    Column("target", String(300), nullable=False),
    Column("detail", String(500), nullable=False),
)

ADDED: Final = (inbox_forgotten, dead_letter, operator_log)
"""Tables that came after version 1."""
