"""Login sessions in Redis (ADR 0090)."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.records.fields import Fields
from rediscore.requests import request_id
from rediscore.scripts import Argument, Script
from rediscore.serialisers import UnreadableValue
from rediscore.sessions.errors import SessionMissing
from rediscore.sessions.ids import KnownAs, new_id, owner_tag
from rediscore.sessions.session import ListedSession, Session

T = TypeVar("T")


class Sessions(Generic[T]):
    """Sessions with typed data that end when nobody uses them, and at the latest after a fixed lifetime.

    The id is 256 random bits. Redis never sees it, only its SHA-256: neither a dump nor MONITOR gives an id
    that works. All keys of a user's sessions share a cluster slot (ADR 0090), so each verb is one atomic
    script and one round trip; it is safe to send twice, and is sent again by itself when the connection
    fails (`RedisSettings.retry`); then redis-py's error is raised. Times are those of the server.

    A session lives as long as the index of its user says so. Hence `destroy_all` is one deletion, and
    nothing brings a dead session back.

    Args:
        name: of these sessions, unique within `keys`.
        data: a pydantic model or a dataclass; see `HashRecords` for what suits.
        idle: a session that nobody loads or updates for so long is dead. It may be up to a hundredth
            shorter: so seldom is a session written that is loaded all the time.
        absolute: no session lives longer, however busy.
        most_per_user: a further one ends the one that would end first.
        now_ms: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        data: type[T],
        *,
        keys: KeySpace,
        idle: timedelta,
        absolute: timedelta,
        most_per_user: int = 100,
        metrics: Metrics | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not timedelta(milliseconds=1) <= idle <= absolute:
            raise ValueError("Sessions need 0 < idle <= absolute.")
        if not 1 <= most_per_user <= 1000:
            raise ValueError("most_per_user is between 1 and 1000.")
        self.name = name
        self._connections = connections
        self._fields = Fields(data)
        if "request" in self._fields.names:
            raise ValueError("A field cannot be called request: that is an argument of update().")
        self._idle_ms, self._absolute_ms = _ms(idle), _ms(absolute)
        self._most = most_per_user
        self._now_ms = now_ms
        self._meter = meter_of(metrics, "sessions", name)
        # Made once: a key is needed for every load.
        self._before, self._after = keys.key("session", name, tag="TAG").split("TAG")

    async def create(self, user_id: str, data: T) -> Session[T]:
        """Begin a session. Its id goes to the user (a cookie: HttpOnly, Secure, SameSite) and nowhere else.

        Cancelled, it may leave a session that nobody knows, until its idle time is over.
        """
        if not user_id:
            raise ValueError("A session belongs to a user: give its id.")
        tag = owner_tag(self.name, user_id)
        session_id = new_id(tag)
        known_as = self._known(session_id)
        begun, ends = await self._run(
            "create",
            [*self._keys(known_as), self._request(tag, None)],
            self._connections.settings.repeat_ms,
            known_as.digest,
            user_id,
            self._absolute_ms,
            self._most,
            *self._fields.dump(data),
        )
        self._meter.counts["created"] += 1
        return Session(session_id, user_id, data, _at(begun), _at(ends))

    async def load(self, session_id: str) -> Session[T] | None:
        """The session, whose idle time begins anew; None when it is dead, was never alive, or its data does
        not fit the model any more. What cannot be an id costs no round trip."""
        if (known_as := KnownAs.of(session_id)) is None:
            self._meter.counts["miss"] += 1
            return None
        reply = await self._run("load", self._keys(known_as), known_as.digest)
        if not reply:
            self._meter.counts["miss"] += 1
            return None
        stored = _pairs(reply)
        try:
            data = self._fields.load(stored)
        except UnreadableValue:
            self._meter.counts["unreadable"] += 1
            return None
        self._meter.counts["hit"] += 1
        user_id = stored[b":user"].decode()
        return Session(session_id, user_id, data, _at(stored[b":created"]), _at(stored[b":end"]))

    async def update(self, session_id: str, /, *, request: str | None = None, **fields: Any) -> None:
        """Change these fields and no other; the idle time begins anew.

        Args:
            request: an id for this call, to repeat it from outside: the same one within
                `RedisSettings.repeat_ms` changes nothing.

        Raises: SessionMissing when it is dead; ValueError for an unknown field or a value that the field
            does not take.
        """
        if not fields:
            raise ValueError("An update needs a field: update(id, name=value).")
        pairs = self._fields.dump_some(fields)
        known_as = self._known(session_id)
        done = await self._run(
            "update",
            [*self._keys(known_as), self._request(known_as.tag, request)],
            self._connections.settings.repeat_ms,
            known_as.digest,
            *pairs,
        )
        if not done:
            raise _missing()
        self._meter.counts["updated"] += 1

    def successor(self, session_id: str) -> str:
        """A new id to `rotate` to, for those who repeat a rotation themselves."""
        return new_id(self._known(session_id).tag)

    async def rotate(self, session_id: str, *, successor: str | None = None) -> str:
        """Give the session another id, as after a login or a change of rights; the old one is dead at once.
        Data, lifetime and the place among the user's sessions stay.

        Args:
            successor: the new id, from `successor()`. The same one again: no effect, the same answer.

        Returns: the new id. Raises: SessionMissing when it is dead.
        """
        known_as = self._known(session_id)
        to_be = successor or self.successor(session_id)
        known_next = self._known(to_be)
        if known_next.tag != known_as.tag or known_next == known_as:
            raise ValueError("The new id of a session comes from successor() of the old one.")
        keys = [*self._keys(known_as), self._session(known_next)]
        if not await self._run("rotate", keys, known_as.digest, known_next.digest):
            raise _missing()
        self._meter.counts["rotated"] += 1
        return to_be

    async def destroy(self, session_id: str) -> None:
        """End the session; nothing happens when it is dead."""
        if (known_as := KnownAs.of(session_id)) is not None:
            await self._destroy(known_as)

    async def destroy_listed(self, user_id: str, handle: str) -> None:
        """End one of the user's sessions that `list` gave. Another user's handle has no effect."""
        await self._destroy(KnownAs(owner_tag(self.name, user_id), handle))

    async def destroy_all(self, user_id: str) -> int:
        """End every session of the user that exists now; those that begin later live.

        One round trip, after which all are dead, and one that clears their data. Returns: how many.
        """
        tag = owner_tag(self.name, user_id)
        keys = [self._index(tag), self._request(tag, None)]
        digests = await self._run("destroy_all", keys, self._connections.settings.repeat_ms)
        if digests:
            dead = [self._session(KnownAs(tag, digest.decode())) for digest in digests]
            await self._connections.execute("UNLINK", *dead, idempotent=True)
        self._meter.counts["destroyed"] += len(digests)
        return len(digests)

    async def list(self, user_id: str) -> "list[ListedSession[T]]":
        """The user's sessions that live, those that end first first. Slides nothing. Two round trips."""
        tag = owner_tag(self.name, user_id)
        index = self._index(tag)
        scored = await self._run("list", [index])
        known = [KnownAs(tag, digest.decode()) for digest in scored[::2]]
        if not known:
            return []
        keys = [index, *map(self._session, known)]
        reply = await self._run("read", keys, *(known_as.digest for known_as in known))
        listed = []
        for known_as, idle_until, pairs in zip(known, reply[::2], reply[1::2], strict=True):
            stored = _pairs(pairs)
            try:
                data = self._fields.load(stored) if stored else None
            except UnreadableValue:
                data = None
            if data is not None:
                begun, ends = _at(stored[b":created"]), _at(stored[b":end"])
                listed.append(ListedSession(known_as.digest, data, begun, ends, _at(idle_until)))
        return listed

    async def _destroy(self, known_as: KnownAs) -> None:
        await self._run("destroy", self._keys(known_as), known_as.digest)
        self._meter.counts["destroyed"] += 1

    async def _run(self, verb: str, keys: Sequence[str], *args: Argument) -> Any:
        script = Script.load("rediscore.sessions", f"lua/{verb}.lua")
        now: Argument = "" if self._now_ms is None else self._now_ms()
        return await script(self._connections, keys=keys, args=[now, self._idle_ms, *args], idempotent=True)

    def _known(self, session_id: str) -> KnownAs:
        if (known_as := KnownAs.of(session_id)) is None:
            raise _missing()
        return known_as

    def _keys(self, known_as: KnownAs) -> tuple[str, str]:
        return self._index(known_as.tag), self._session(known_as)

    def _index(self, tag: str) -> str:
        return f"{self._before}{tag}{self._after}:index"

    def _session(self, known_as: KnownAs) -> str:
        return f"{self._before}{known_as.tag}{self._after}:{known_as.digest}"

    def _request(self, tag: str, request: str | None) -> str:
        return f"{self._before}{tag}{self._after}:once:{request or request_id()}"


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def _at(ms: int | bytes) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def _pairs(reply: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _missing() -> SessionMissing:
    return SessionMissing("There is no such session (any more): ask the user to log in.")
