"""Place an order: price it, write it down, hand its charge to the saga. Once per Idempotency-Key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pizzeria_chassis.ids import new_id
from pizzeria_chassis.telemetry import current_traceparent
from pizzeria_contracts.events import OrderedItem
from pizzeria_contracts.payloads import Priority
from rediscore.clock import Clock

from order_service.domain import pricing
from order_service.domain.errors import Fault, InProgress, KeyReused, KeyTaken, PricesChanged, Unorderable
from order_service.domain.news import Policy
from order_service.domain.order import Order, place
from order_service.domain.pricing import Wish
from order_service.domain.records import StoredAnswer
from order_service.use_cases.admission import Admission
from order_service.use_cases.ports import MenuSource, Orders, PaymentProvider


@dataclass(frozen=True)
class NewOrder:
    """What a guest asks for; `quotes` and `cart_id` when it comes from a cart.

    quotes: the unit prices in EUR that were shown, line by line.
    """

    customer_id: str
    wishes: tuple[Wish, ...]
    payment_token: str
    priority: Priority
    scheduled_for: datetime | None
    delivery_address: str | None
    notes: str | None
    quotes: tuple[Decimal, ...] | None = None
    cart_id: str | None = None


@dataclass(frozen=True)
class RequestKey:
    """The Idempotency-Key of a request, and a digest of what it asks for."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class Placed:
    """The body of the answer; `replayed` when it was given before."""

    order_id: str
    body: str
    replayed: bool


class PlaceOrder:
    """Accepts orders, whether Redis, the kitchen and the provider are there or not.

    `render` gives the body of the answer for a new order; a repeat gets the very same body for `keep`.
    """

    def __init__(
        self,
        *,
        orders: Orders,
        menu: MenuSource,
        provider: PaymentProvider,
        admission: Admission,
        clock: Clock,
        policy: Policy,
        render: Callable[[Order], str],
        keep: timedelta,
    ) -> None:
        self._orders = orders
        self._menu = menu
        self._provider = provider
        self._admission = admission
        self._clock = clock
        self._policy = policy
        self._render = render
        self._keep = keep
        self._running: set[tuple[str, str]] = set()

    async def __call__(self, wanted: NewOrder, key: RequestKey | None) -> Placed:
        """Price the order and write it, its answer and order.placed in one transaction.

        Raises:
            Unorderable, SoldOut: with a pointer at every field that cannot be served; nothing is written.
            PricesChanged: the menu's prices are not those that were shown.
            MenuUnavailable: no menu to price by.
            CartSpent: the cart was ordered before.
            KitchenFull: try again later.
            KeyReused, InProgress: see there.
        """
        if key is None:
            return await self._place(wanted, None)
        # Only this process: between replicas the database decides, and the slower one replays.
        slot = (wanted.customer_id, key.key)
        if slot in self._running:
            raise InProgress
        self._running.add(slot)
        try:
            return await self._once(wanted, key)
        finally:
            self._running.discard(slot)

    async def answered(self, customer_id: str, key: RequestKey) -> Placed | None:
        """What was answered to this key; None when it is new. One read. Raises KeyReused."""
        stored = await self._orders.answer_to(customer_id, key.key)
        if stored is None:
            return None
        if stored.fingerprint != key.fingerprint:
            raise KeyReused
        return Placed(stored.order_id, stored.body, replayed=True)

    async def _once(self, wanted: NewOrder, key: RequestKey) -> Placed:
        placed = await self.answered(wanted.customer_id, key)
        if placed is None:
            try:
                return await self._place(wanted, key)
            except KeyTaken:
                placed = await self.answered(wanted.customer_id, key)
        if placed is None:
            raise InProgress
        return placed

    async def _place(self, wanted: NewOrder, key: RequestKey | None) -> Placed:
        items = await self._priced(wanted)
        pizzas = sum(item.quantity for item in items)
        async with self._admission(pizzas, wanted.priority, wanted.scheduled_for) as ready_at:
            now = self._clock.now()
            order = place(
                order_id=new_id(),
                customer_id=wanted.customer_id,
                items=items,
                payment_token=wanted.payment_token,
                priority=wanted.priority,
                scheduled_for=wanted.scheduled_for,
                delivery_address=wanted.delivery_address,
                notes=wanted.notes,
                traceparent=current_traceparent(),
                now=now,
                charge_due_at=now + self._policy.lease,
                estimated_ready_at=ready_at,
            )
            body = self._render(order)
            answer = None
            if key is not None:
                answer = StoredAnswer(
                    customer_id=wanted.customer_id,
                    key=key.key,
                    fingerprint=key.fingerprint,
                    order_id=order.id,
                    body=body,
                    expires_at=now + self._keep,
                )
            await self._orders.add(order, answer, wanted.cart_id)
        return Placed(order.id, body, replayed=False)

    async def _priced(self, wanted: NewOrder) -> tuple[OrderedItem, ...]:
        faults: list[Fault] = []
        if not self._provider.knows(wanted.payment_token):
            faults.append(Fault("/payment/token", "The payment provider knows no such token."))
        faults += self._admission.faults_of_time(wanted.scheduled_for)
        menu = await self._menu.current()
        try:
            items = pricing.price(wanted.wishes, menu)
        except Unorderable as error:
            if not faults:
                raise
            raise Unorderable([*error.faults, *faults]) from None
        if faults:
            raise Unorderable(faults)
        prices = tuple(item.unit_price for item in items)
        if wanted.quotes not in (None, prices):
            raise PricesChanged(wanted.quotes, prices)
        return items
