"""The archive: every event of every stream, once, in the order in which it came in."""

from pizzeria_chassis.columns import BigId, UtcDateTime
from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

archive = Table(
    "archive",
    metadata,
    # Grows in commit order (see archive.py), so "all after seq n" never misses a late committer.
    Column("seq", BigId, primary_key=True, autoincrement=True),
    Column("event_id", String(100), nullable=False),
    Column("stream", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("type", String(100), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("position", BigInteger, nullable=True),
    Column("envelope", Text, nullable=False),
    UniqueConstraint("event_id", name="uq_archive_event_id"),
    Index("ix_archive_subject", "subject", "seq"),
)
