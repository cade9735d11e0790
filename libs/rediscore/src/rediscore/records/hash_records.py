"""A repository of records in Redis hashes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from zlib import crc32

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.records.errors import RecordMissing, VersionConflict
from rediscore.records.fields import Fields
from rediscore.requests import request_id
from rediscore.scripts import Argument, Script
from rediscore.serialisers import UnreadableValue

T = TypeVar("T")

_VERSION = ":v"  # no field of a model can be called that


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """What was read: the value, and the version to hand back as `expected_version`."""

    value: T
    version: int


class HashRecords(Generic[T]):
    """Records of one model, each a Redis hash with a field per field of the model, and a version.

    A partial update sends only the fields it changes, so two that change different fields both count. It
    never brings back a record that is gone. Each write raises the version; versions of one id never come
    again, also after a deletion (they are server time in µs, or the last one + 1).

    Every verb is one round trip, is safe to send twice, and is sent again by itself when the connection
    fails (`RedisSettings.retry`); then redis-py's error is raised.

    Args:
        name: of these records, unique within `keys`.
        model: a pydantic model or a dataclass. Use types that JSON brings back as they were.
        ttl: how long a record lives after it was written; None = until it is deleted.
        slide: an update begins the TTL anew; otherwise it keeps what is left.
        now_ms: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        model: type[T],
        *,
        keys: KeySpace,
        ttl: timedelta | None,
        slide: bool = False,
        metrics: Metrics | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if ttl is not None and ttl < timedelta(milliseconds=1):
            raise ValueError("A record lives for some time: ttl > 0, or None for ever.")
        if slide and ttl is None:
            raise ValueError("What never expires cannot slide: give a ttl or leave slide out.")
        self.name = name
        self._connections = connections
        self._key_space = keys
        self._fields = Fields(model)
        if taken := {"expected_version", "request"}.intersection(self._fields.names):
            raise ValueError(f"A field cannot be called {min(taken)}: that is an argument of update().")
        self._ttl_ms = 0 if ttl is None else round(ttl.total_seconds() * 1000)
        self._slide_ms = self._ttl_ms if slide else 0
        self._now_ms = now_ms
        self._meter = meter_of(metrics, "records", name)

    async def write(
        self, record_id: str, record: T, *, expected_version: int | None = None, request: str | None = None
    ) -> int:
        """Put the whole record in the place of what is there; its TTL begins.

        Args:
            expected_version: the version that must be there; 0 = no record may be there.
            request: an id for this call, to repeat it from outside: the same one within
                `RedisSettings.repeat_ms` gets the same answer and changes nothing.

        Returns: its version. Raises: VersionConflict, TypeError for what is not of the model.
        """
        args = [self._ttl_ms, *self._fields.dump(record)]
        return await self._run("write", record_id, expected_version, request, args)

    async def update(
        self,
        record_id: str,
        *,
        expected_version: int | None = None,
        request: str | None = None,
        **fields: Any,
    ) -> int:
        """Change these fields and no other. Arguments as of `write`.

        Rules across fields (model validators) cannot be checked here: such models are written whole.

        Returns: the new version. Raises: RecordMissing when there is none (any more), VersionConflict,
            ValueError for an unknown field or a value that the field does not take.
        """
        if not fields:
            raise ValueError("An update needs a field: update(id, name=value).")
        args = [self._slide_ms, *self._fields.dump_some(fields)]
        return await self._run("update", record_id, expected_version, request, args)

    async def read(self, record_id: str) -> Record[T] | None:
        """The record, or None when there is none. One HGETALL.

        Raises: UnreadableValue when what lies there is no such record.
        """
        stored = await self._connections.execute("HGETALL", self._key(record_id), idempotent=True)
        if not stored:
            self._meter.counts["miss"] += 1
            return None
        self._meter.counts["hit"] += 1
        version = stored.get(_VERSION.encode())
        if version is None:
            raise UnreadableValue(f"The hash of {self.name} was not written as a record.")
        return Record(self._fields.load(stored), int(version))

    async def field(self, record_id: str, name: str) -> Any:
        """The value of one field. One HMGET; a field that is newer than the record costs a `read` more.

        Raises: RecordMissing when there is no record; ValueError for an unknown field; UnreadableValue.
        """
        if name not in self._fields.names:
            raise ValueError(f"The records of {self.name} have no field {name}.")
        version, value = await self._connections.execute(
            "HMGET", self._key(record_id), _VERSION, name, idempotent=True
        )
        if version is None:
            raise self._missing(record_id)
        if value is not None:
            return self._fields.load_one(name, value)
        record = await self.read(record_id)
        if record is None:
            raise self._missing(record_id)
        return getattr(record.value, name)

    async def delete(
        self, record_id: str, *, expected_version: int | None = None, request: str | None = None
    ) -> bool:
        """Delete the record. Arguments as of `write`.

        Returns: whether this call did it. Raises: VersionConflict.
        """
        try:
            await self._run("delete", record_id, expected_version, request, [])
        except RecordMissing:
            return False
        return True

    def _key(self, record_id: str) -> str:
        if not record_id:
            raise ValueError("A record needs an id.")
        return f"{self._base(record_id)}:{record_id}"

    def _base(self, record_id: str) -> str:
        # A tag per record spreads them over a cluster, and keeps a record and its requests together.
        tag = f"{self.name}:{crc32(record_id.encode()):08x}"
        return self._key_space.key("record", tag=tag)

    async def _run(
        self,
        verb: str,
        record_id: str,
        expected_version: int | None,
        request: str | None,
        args: Sequence[Argument],
    ) -> int:
        script = Script.load("rediscore.records", f"lua/{verb}.lua")
        key = self._key(record_id)
        once = f"{self._base(record_id)}-once:{verb}:{request or request_id()}"
        now: Argument = "" if self._now_ms is None else self._now_ms()
        expected: Argument = "" if expected_version is None else expected_version
        done, version = await script(
            self._connections,
            keys=[key, once],
            args=[now, self._connections.settings.repeat_ms, expected, *args],
            idempotent=True,
        )
        if done == 1:
            self._meter.counts[verb] += 1
            return int(version)
        if done == -1:
            raise self._missing(record_id)
        self._meter.counts["conflict"] += 1
        expected_now = 0 if expected_version is None else expected_version
        raise VersionConflict(
            f"{record_id} of {self.name} has version {version}, not {expected_version}: read it again.",
            expected=expected_now,
            actual=int(version),
        )

    def _missing(self, record_id: str) -> RecordMissing:
        return RecordMissing(f"{self.name} has no record {record_id} (any more): write a whole one.")
