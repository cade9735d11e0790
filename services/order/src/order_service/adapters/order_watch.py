"""Wakes whoever follows an order when it changes: at once in this process, by a hint from others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from pizzeria_contracts.channels import live_order
from rediscore.pubsub import LiveChannels

from order_service.domain.order import Order


@dataclass(eq=False)
class _Watched:
    hearing: asyncio.Task[None]
    followers: set[asyncio.Event] = field(default_factory=set)


class OrderWatch:
    """See `use_cases.ports.Watch`.

    Followers of one order share one listening, and all listenings of the process one connection.
    """

    def __init__(self, channels: LiveChannels) -> None:
        self._channels = channels
        self._orders: dict[str, _Watched] = {}

    def changed(self, order: Order) -> None:
        """This process has just changed it; no Redis is needed to know. Never blocks."""
        self._wake(order.id)

    @asynccontextmanager
    async def following(self, order_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the order may have changed; the follower clears it."""
        watched = self._orders.get(order_id)
        if watched is None:
            hearing = asyncio.create_task(self._hear(order_id), name=f"live:{order_id}")
            watched = self._orders[order_id] = _Watched(hearing)
        changed = asyncio.Event()
        watched.followers.add(changed)
        try:
            yield changed
        finally:
            watched.followers.discard(changed)
            if not watched.followers:
                del self._orders[order_id]
                watched.hearing.cancel()
                await asyncio.gather(watched.hearing, return_exceptions=True)

    async def _hear(self, order_id: str) -> None:
        async with aclosing(self._channels.listen(live_order(order_id))) as hints:
            async for _ in hints:
                self._wake(order_id)

    def _wake(self, order_id: str) -> None:
        watched = self._orders.get(order_id)
        for changed in watched.followers if watched is not None else ():
            changed.set()
