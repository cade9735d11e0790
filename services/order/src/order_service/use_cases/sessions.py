"""Signing in and out. Guests have no password: a session is what they are known by."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pizzeria_chassis.ids import new_id
from rediscore.clock import Clock

from order_service.domain.records import Customer, Session
from order_service.use_cases.ports import Customers

TOKEN_BYTES = 32


@dataclass(frozen=True)
class OpenedSession:
    """The one moment at which the token itself is seen."""

    token: str
    customer_id: str
    expires_at: datetime


class Sessions:
    """Tokens are random; SQL keeps their digest alone, so reading the database signs nobody in."""

    def __init__(self, *, customers: Customers, clock: Clock, lifetime: timedelta) -> None:
        self._customers = customers
        self._clock = clock
        self._lifetime = lifetime

    async def open(self, name: str, phone: str | None, email: str | None) -> OpenedSession:
        """A new guest with a first session."""
        now = self._clock.now()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        customer = Customer(new_id(), name, phone, email, created_at=now)
        session = Session(_digest(token), customer.id, created_at=now, expires_at=now + self._lifetime)
        await self._customers.enter(customer, session)
        return OpenedSession(token, customer.id, session.expires_at)

    async def whose(self, token: str) -> str | None:
        """The customer id of a live session, else None. One read."""
        session = await self._customers.session(_digest(token))
        if session is None or session.expires_at <= self._clock.now():
            return None
        return session.customer_id

    async def profile(self, customer_id: str) -> Customer | None:
        return await self._customers.customer(customer_id)

    async def close(self, token: str) -> None:
        """End this session; harmless when it has ended."""
        await self._customers.leave(_digest(token))

    async def close_all(self, customer_id: str) -> None:
        """End every session of this guest, on every device."""
        await self._customers.leave_everywhere(customer_id)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
