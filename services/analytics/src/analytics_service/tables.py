"""The archive: every event of every stream, once, in the order of its arrival; and what was asked for."""

from pizzeria_chassis.columns import BigId, UtcDateTime
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

archive = Table(
    "archive",
    metadata,
    # 1, 2, 3 … in commit order (see archive.py), so "all after seq n" never misses a late committer.
    Column("seq", BigId, primary_key=True, autoincrement=False),
    Column("event_id", String(100), nullable=False),
    Column("stream", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("type", String(100), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("position", BigInteger, nullable=True),
    Column("envelope", Text, nullable=False),
    UniqueConstraint("event_id", name="uq_archive_event_id"),
    Index("ix_archive_subject", "subject", "seq"),
    Index("ix_archive_time", "time", "seq"),
    Index("ix_archive_position", "stream", "position"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("layout", Integer, primary_key=True),
    Column("until", UtcDateTime, primary_key=True),
    Column("body", Text, nullable=False),
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("segments", Text, nullable=False),
    Column("audience_size", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("idempotency_key", String(255), nullable=True),
    Column("fingerprint", String(64), nullable=False),
    UniqueConstraint("idempotency_key", name="uq_campaigns_idempotency_key"),
)

# The picture of the audience, until the end of the campaign.
campaign_members = Table(
    "campaign_members",
    metadata,
    Column("campaign_id", String(36), primary_key=True),
    Column("customer_id", String(100), primary_key=True),
)

rebuilds = Table(
    "rebuilds",
    metadata,
    Column("id", String(36), primary_key=True),  # also the name of the generation that it builds
    Column("layout", Integer, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("compared", Boolean, nullable=True),  # NULL: there was nothing to compare with
    Column("differences", Text, nullable=False),
)
# One at a time, per layout: while a new version is rolled out each builds its own.
Index(
    "uq_rebuilds_open",
    rebuilds.c.layout,
    unique=True,
    postgresql_where=rebuilds.c.finished_at.is_(None),
    sqlite_where=rebuilds.c.finished_at.is_(None),
)
