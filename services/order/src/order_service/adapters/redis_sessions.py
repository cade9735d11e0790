"""Sessions in Redis: they slide there with every use, and Redis answers for SQL for moments."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pizzeria_chassis.chassis import Chassis
from redis.exceptions import RedisError
from rediscore.breaker import CircuitBreaker, CircuitOpen
from rediscore.sessions import SessionMissing
from rediscore.sessions import Sessions as RedisSessionStore

from order_service.use_cases.ports import SeenSession
from order_service.use_cases.sessions import MOST_PER_GUEST, Lifetimes

T = TypeVar("T")

AWAY: Final = (RedisError, CircuitOpen, TimeoutError, OSError)
TOKEN_BYTES: Final = 32


@dataclass(frozen=True)
class Voucher:
    """What Redis keeps of a session: until when SQL has said that it lives."""

    until: datetime


def session_lane(chassis: Chassis, lifetimes: Lifetimes) -> "RedisSessions":
    store = RedisSessionStore(
        chassis.connections,
        "guests",
        Voucher,
        keys=chassis.keys,
        idle=lifetimes.idle,
        absolute=lifetimes.absolute,
        most_per_user=MOST_PER_GUEST,
        metrics=chassis.metrics,
    )
    return RedisSessions(store, chassis.redis_breaker)


class RedisSessions:
    """See `use_cases.ports.SessionLane`. One round trip per call, two for `end_all`."""

    def __init__(self, store: RedisSessionStore[Voucher], breaker: CircuitBreaker) -> None:
        self._store = store
        self._breaker = breaker

    async def begin(self, customer_id: str, until: datetime) -> str:
        try:
            session = await self._call(lambda: self._store.create(customer_id, Voucher(until)))
        except AWAY:
            # Redis will never know this token: SQL answers for it as long as it lives.
            return secrets.token_urlsafe(TOKEN_BYTES)
        return session.id

    async def load(self, token: str) -> SeenSession | None:
        try:
            session = await self._call(lambda: self._store.load(token))
        except AWAY:
            return None
        return None if session is None else SeenSession(session.user_id, session.data.until)

    async def vouch(self, token: str, until: datetime) -> None:
        await self._told(lambda: self._store.update(token, until=until))

    def successor(self, token: str) -> str:
        try:
            return self._store.successor(token)
        except SessionMissing:
            return secrets.token_urlsafe(TOKEN_BYTES)

    async def rotate(self, token: str, successor: str) -> bool:
        return await self._told(lambda: self._store.rotate(token, successor=successor))

    async def end(self, token: str) -> bool:
        return await self._told(lambda: self._store.destroy(token))

    async def end_all(self, customer_id: str) -> bool:
        return await self._told(lambda: self._store.destroy_all(customer_id))

    async def _told(self, verb: Callable[[], Awaitable[object]]) -> bool:
        try:
            await self._call(verb)
        except SessionMissing:
            return True  # and nothing brings it back
        except AWAY:
            return False
        return True

    async def _call(self, verb: Callable[[], Awaitable[T]]) -> T:
        return await self._breaker.call(verb)
