"""Carts: their lines in Redis, which may lose them; which cart counts in SQL, which may not (ADR 0056)."""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.ids import new_id
from rediscore.records import HashRecords, Record, RecordMissing, VersionConflict
from rediscore.serialisers import UnreadableValue

from order_service.adapters.redis_sessions import AWAY
from order_service.adapters.sql_cart_ids import SqlCartIds
from order_service.domain.cart import Cart, Line
from order_service.domain.errors import CartChanged, CartGone, CartsUnavailable
from order_service.use_cases.cart_ports import FoundCart, Owner

T = TypeVar("T")

TOKEN_BYTES: Final = 32
# A cart that is only looked at is written that seldom: reads, not writes.
TOUCHES_PER_LIFE: Final = 10


@dataclass(frozen=True)
class CartRecord:
    """A cart as Redis keeps it."""

    cart_id: str
    lines: tuple[Line, ...]
    held_until: datetime | None
    touched_at: datetime


class RedisCarts:
    """See `use_cases.cart_ports.Carts`.

    One round trip per call; `find` of a guest's reads SQL as well, and a save that begins or ends a guest's
    cart writes there.

    Args:
        guest_ttl, nobodys_ttl: how long a cart is kept that nobody uses.
    """

    def __init__(
        self, chassis: Chassis, ids: SqlCartIds, *, guest_ttl: timedelta, nobodys_ttl: timedelta
    ) -> None:
        self._clock = chassis.clock
        self._breaker = chassis.redis_breaker
        self._ids = ids
        self._ttls = {True: guest_ttl, False: nobodys_ttl}
        self._records = {
            is_guest: HashRecords(
                chassis.connections,
                name,
                CartRecord,
                keys=chassis.keys,
                ttl=self._ttls[is_guest],
                slide=True,
                metrics=chassis.metrics,
            )
            for is_guest, name in ((True, "carts"), (False, "nobodys-carts"))
        }

    async def begin(self) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self.save(Owner.bearer(token), FoundCart(Cart(), 0), Cart(id=new_id()))
        return token

    async def find(self, owner: Owner) -> FoundCart:
        records = self._of(owner)
        try:
            # Redis first: a cart that is ordered meanwhile has ended in SQL before it goes here.
            record = await self._call(lambda: records.read(owner.key))
        except UnreadableValue:
            # Written by another version of this service.
            await self._call(lambda: records.delete(owner.key))
            record = None
        if owner.customer_id is None:
            if record is None:
                raise CartGone
            return _found(record)
        counts = await self._ids.current(owner.customer_id)
        if record is not None and record.value.cart_id == counts:
            return _found(record)
        version = 0 if record is None else record.version
        return FoundCart(Cart(id=counts or ""), version, gone=counts is not None)

    async def save(self, owner: Owner, found: FoundCart, cart: Cart) -> FoundCart:
        if owner.customer_id is not None:
            if not cart.lines:
                return await self._end(owner.customer_id, owner, found)
            if not cart.id:
                cart = replace(cart, id=new_id())
                # SQL first, so that what Redis holds without its knowing cannot count.
                if not await self._ids.begin(owner.customer_id, cart.id):
                    raise CartChanged
        record = CartRecord(cart.id, cart.lines, cart.held_until, self._clock.now())
        try:
            version = await self._call(
                lambda: self._of(owner).write(owner.key, record, expected_version=found.version)
            )
        except VersionConflict:
            raise CartChanged from None
        return FoundCart(cart, version)

    async def touch(self, owner: Owner, found: FoundCart) -> None:
        records, now = self._of(owner), self._clock.now()
        often = self._ttls[owner.customer_id is not None] / TOUCHES_PER_LIFE
        if found.touched_at is None or now - found.touched_at < often:
            return
        try:
            await self._call(
                lambda: records.update(owner.key, expected_version=found.version, touched_at=now)
            )
        except (VersionConflict, RecordMissing):
            raise CartChanged from None

    async def forget(self, owner: Owner, found: FoundCart | None = None) -> None:
        version = None if found is None else found.version
        with suppress(CartsUnavailable, VersionConflict):
            await self._call(lambda: self._of(owner).delete(owner.key, expected_version=version))

    async def _end(self, customer_id: str, owner: Owner, found: FoundCart) -> FoundCart:
        try:
            await self._call(lambda: self._of(owner).delete(owner.key, expected_version=found.version))
        except VersionConflict:
            raise CartChanged from None
        await self._ids.end(customer_id, found.cart.id)
        return FoundCart(Cart(), 0)

    def _of(self, owner: Owner) -> HashRecords[CartRecord]:
        return self._records[owner.customer_id is not None]

    async def _call(self, verb: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._breaker.call(verb)
        except AWAY as error:
            raise CartsUnavailable from error


def _found(record: Record[CartRecord]) -> FoundCart:
    kept = record.value
    cart = Cart(kept.cart_id, kept.lines, kept.held_until)
    return FoundCart(cart, record.version, touched_at=kept.touched_at)
