"""Signing in and out. Guests have no password: a session is what they are known by (ADR 0055)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from pizzeria_chassis.ids import new_id
from rediscore.clock import Clock

from order_service.domain.errors import UnknownGuest
from order_service.domain.records import Customer, Session
from order_service.use_cases.ports import Customers, SessionLane

MOST_PER_GUEST = 20
# SQL learns that a session is used when a hundredth of its idle time has passed: reads, not writes.
STEPS = 100


@dataclass(frozen=True)
class OpenedSession:
    """The one moment at which the token itself is seen."""

    token: str
    customer_id: str
    expires_at: datetime


@dataclass(frozen=True)
class Lifetimes:
    """How long sessions live.

    idle: unused for so long, a session ends.
    absolute: at the latest after this it ends, however busy.
    vouch: for so long after it asked SQL a replica may take the lane's word that a session lives.
    """

    idle: timedelta
    absolute: timedelta
    vouch: timedelta


class Sessions:
    """SQL says who is signed in; it keeps digests of tokens alone, so reading it signs nobody in.

    The lane (Redis) answers in its place for moments and slides what is used. Ended is ended at every
    replica once a call here returns: the lane was told, or, when it is away, its word has run out.
    """

    def __init__(
        self, *, customers: Customers, lane: SessionLane, clock: Clock, lifetimes: Lifetimes
    ) -> None:
        self._customers = customers
        self._lane = lane
        self._clock = clock
        self._lifetimes = lifetimes

    async def open(self, name: str, phone: str | None, email: str | None) -> OpenedSession:
        """A new guest with a first session."""
        now = self._clock.now()
        customer = Customer(new_id(), name, phone, email, created_at=now, cart_id=None)
        token, session = await self._new(customer.id, now)
        await self._customers.enter(customer, session)
        return OpenedSession(token, customer.id, session.expires_at)

    async def open_another(self, customer_id: str) -> OpenedSession:
        """One more session of a guest, for another device; beyond 20 the oldest ends."""
        token, session = await self._new(customer_id, self._clock.now())
        await self._customers.enter_again(session, most=MOST_PER_GUEST)
        return OpenedSession(token, customer_id, session.expires_at)

    async def whose(self, token: str) -> str | None:
        """The customer id of a live session, else None. One round trip to Redis while its word counts, else
        a read more, and a write when the session has to slide."""
        now = self._clock.now()
        seen = await self._lane.load(token)
        if seen is not None and now < seen.vouched_until:
            return seen.customer_id
        digest = _digest(token)
        session = await self._customers.session(digest)
        if session is None or not session.lives(now):
            if seen is not None:
                await self._lane.end(token)
            return None
        slid = min(now + self._lifetimes.idle, session.expires_at)
        if slid - session.idle_until > self._lifetimes.idle / STEPS:
            await self._customers.slide(digest, slid)
        if seen is not None:
            # From before the read: whoever ends the session meanwhile waits no longer than that.
            await self._lane.vouch(token, min(now + self._lifetimes.vouch, session.expires_at))
        return session.customer_id

    async def rotate(self, token: str) -> OpenedSession:
        """The same session under another token; the old one is dead. Raises UnknownGuest.

        A lost reply loses the session: whoever minds opens another one and then ends this one.
        """
        successor = self._lane.successor(token)
        session = await self._customers.rename(_digest(token), _digest(successor))
        if session is None:
            raise UnknownGuest
        await self._sure(await self._lane.rotate(token, successor))
        return OpenedSession(successor, session.customer_id, session.expires_at)

    async def close(self, token: str) -> None:
        """End this session; harmless when it has ended."""
        await self._customers.leave(_digest(token))
        await self._sure(await self._lane.end(token))

    async def close_all(self, customer_id: str) -> None:
        """End every session of this guest, on every device."""
        await self._customers.leave_everywhere(customer_id)
        await self.forget(customer_id)

    async def forget(self, customer_id: str) -> None:
        """Make sure that nobody takes for signed in who is not in SQL any more."""
        await self._sure(await self._lane.end_all(customer_id))

    async def _new(self, customer_id: str, now: datetime) -> tuple[str, Session]:
        lifetimes = self._lifetimes
        # Before SQL has it: if that fails, nobody will ever know the token.
        token = await self._lane.begin(customer_id, now + min(lifetimes.vouch, lifetimes.absolute))
        session = Session(
            _digest(token),
            customer_id,
            created_at=now,
            expires_at=now + lifetimes.absolute,
            idle_until=now + lifetimes.idle,
        )
        return token, session

    async def _sure(self, told: bool) -> None:
        if not told:
            await self._clock.sleep(self._lifetimes.vouch.total_seconds())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
