"""Typed records in Redis hashes."""

from rediscore.records.errors import RecordMissing, VersionConflict
from rediscore.records.hash_records import HashRecords, Record

__all__ = ["HashRecords", "Record", "RecordMissing", "VersionConflict"]
