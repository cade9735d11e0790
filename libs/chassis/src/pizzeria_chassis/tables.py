"""Tables that every service has: the outbox of its own events and the inbox of others'.

Services create them in their first migration by ``pizzeria_chassis.migrations.create_chassis_tables``.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pizzeria_chassis.columns import BigId, UtcDateTime

__all__ = ["inbox", "inbox_position", "metadata", "outbox", "relay_lead"]

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
    Column("status", String(10), nullable=False),  # applied | ignored | dead
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
