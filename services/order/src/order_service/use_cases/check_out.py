"""Check out: the cart becomes an order at the prices that were shown, once (ADR 0056)."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pizzeria_contracts.payloads import Priority
from rediscore.clock import Clock

from order_service.domain.cart import Cart, requoted
from order_service.domain.errors import (
    CartBusy,
    CartChanged,
    CartEmpty,
    CartNotAsShown,
    CartsUnavailable,
    OrderError,
    PricesChanged,
)
from order_service.use_cases.cart_ports import Carts, FoundCart, Owner
from order_service.use_cases.place_order import NewOrder, Placed, PlaceOrder, RequestKey

# How long the lines are the checkout's own; then they are anybody's again, for it may have died.
HOLD: Final = timedelta(seconds=10)


@dataclass(frozen=True)
class Terms:
    """What a guest adds to a cart to make it an order."""

    payment_token: str
    priority: Priority
    scheduled_for: datetime | None
    delivery_address: str | None
    notes: str | None


class CheckOut:
    def __init__(self, *, store: Carts, place_order: PlaceOrder, clock: Clock) -> None:
        self._store = store
        self._place_order = place_order
        self._clock = clock

    async def __call__(
        self, customer_id: str, terms: Terms, key: RequestKey | None, shown: str | None
    ) -> Placed:
        """Order what is in the cart, and empty it. The order's transaction ends the cart, so a cart is
        ordered once, whatever dies afterwards.

        Args:
            shown: tag of the cart that the guest has seen; None: whatever was shown last.

        Raises: CartEmpty, CartBusy, CartNotAsShown; PricesChanged when the menu has other prices by now,
            which from here on count as shown; what PlaceOrder raises. In all cases nothing is ordered.
        """
        if key is not None and (placed := await self._place_order.answered(customer_id, key)):
            return placed
        owner = Owner.guest(customer_id)
        try:
            held = await self._held(owner, shown)
        except CartEmpty:
            # Perhaps ordered just now, by the first sending of this very request at another replica.
            if key is not None and (placed := await self._place_order.answered(customer_id, key)):
                return placed
            raise
        wanted = NewOrder(
            customer_id=customer_id,
            wishes=held.cart.wishes,
            payment_token=terms.payment_token,
            priority=terms.priority,
            scheduled_for=terms.scheduled_for,
            delivery_address=terms.delivery_address,
            notes=terms.notes,
            quotes=tuple(line.quote for line in held.cart.lines),
            cart_id=held.cart.id,
        )
        try:
            placed = await self._place_order(wanted, key)
        except PricesChanged as error:
            await self._release(owner, held, requoted(held.cart, error.now))
            raise
        except OrderError:
            await self._release(owner, held, replace(held.cart, held_until=None))
            raise
        await self._store.forget(owner, held)
        return placed

    async def _release(self, owner: Owner, held: FoundCart, cart: Cart) -> None:
        # Otherwise its time runs out, and prices are told once more.
        with suppress(CartChanged, CartsUnavailable):
            await self._store.save(owner, held, cart)

    async def _held(self, owner: Owner, shown: str | None) -> FoundCart:
        now = self._clock.now()
        found = await self._store.find(owner)
        if not found.cart.lines:
            raise CartEmpty(gone=found.gone)
        cart = found.cart.free(now)
        if shown not in (None, cart.tag):
            raise CartNotAsShown
        try:
            return await self._store.save(owner, found, replace(cart, held_until=now + HOLD))
        except CartChanged:
            raise CartBusy from None
