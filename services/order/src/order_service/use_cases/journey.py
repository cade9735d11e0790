"""The journey of one order: all that is known of it here, at the kitchen, and among the dead letters."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pizzeria_contracts.events import OrderConfirmed

from order_service.domain.errors import KitchenAway, LettersAway
from order_service.domain.records import JourneyEntry
from order_service.use_cases.ports import Letters, Orders, Tickets
from order_service.use_cases.read_orders import ReadOrders


@dataclass(frozen=True)
class Journey:
    """Everything in time order; `missing` names who could not be asked, so it may be more."""

    entries: Sequence[JourneyEntry]
    missing: tuple[str, ...]


class ReadJourney:
    def __init__(self, *, look: ReadOrders, orders: Orders, tickets: Tickets, letters: Letters) -> None:
        self._look = look
        self._orders = orders
        self._tickets = tickets
        self._letters = letters

    async def __call__(self, order_id: str, customer_id: str | None) -> Journey:
        """Events told and heard, tries, leases and takeovers, ours and the kitchen's, and dead letters.

        One read of ours; one call to the kitchen once it has the order, two to Redis, each given up after a
        second or so: what is known is told all the same.

        Raises UnknownOrder.
        """
        await self._look.one(order_id, customer_id)
        ours = list(await self._orders.journey(order_id))
        handed_over = any(entry.type == OrderConfirmed.event_type for entry in ours)
        tickets, letters = await asyncio.gather(
            self._of_the_kitchen(order_id) if handed_over else _nothing(), self._dead(order_id)
        )
        missing = tuple(
            name for name, found in (("kitchen", tickets), ("dead letters", letters)) if found is None
        )
        entries = [*ours, *(tickets or ()), *(letters or ())]
        return Journey(sorted(entries, key=lambda entry: entry.time), missing)

    async def _of_the_kitchen(self, order_id: str) -> Sequence[JourneyEntry] | None:
        try:
            return await self._tickets.history(order_id)
        except KitchenAway:
            return None

    async def _dead(self, order_id: str) -> Sequence[JourneyEntry] | None:
        try:
            return await self._letters.about(order_id)
        except LettersAway:
            return None


async def _nothing() -> Sequence[JourneyEntry]:
    return ()
