"""Drivers: take what is ready, bring it to the guest."""

import asyncio
from functools import partial
from random import Random

from pizzeria.simulators.api import Api, Refused, for_ever, insist, log

_LOOK_SECONDS = 0.2
_DRIVING_SECONDS = (0.3, 1.2)


class Drivers:
    """Drivers who share one look at the list of what is to be delivered."""

    def __init__(self, kitchen: Api, count: int, group: asyncio.TaskGroup, *, random: Random) -> None:
        self._kitchen = kitchen
        self._count = count
        self._group = group
        self._random = random
        self._on_the_road: set[str] = set()

    async def look(self) -> None:
        """Send free drivers out. Raises: Unavailable, Refused."""
        deliveries = (await self._kitchen.get("/deliveries"))["items"]
        # What somebody started before a fault is still in the list, and finished in the same way.
        waiting = [one["order_id"] for one in deliveries if one["order_id"] not in self._on_the_road]
        for order_id in waiting[: self._count - len(self._on_the_road)]:
            self._on_the_road.add(order_id)
            self._group.create_task(self._deliver(order_id), name=f"delivery {order_id}")
        await asyncio.sleep(_LOOK_SECONDS)

    async def _deliver(self, order_id: str) -> None:
        try:
            await self._send(order_id, "start")
            await asyncio.sleep(self._random.uniform(*_DRIVING_SECONDS))
            await self._send(order_id, "complete")
        except Refused as refusal:
            log.warning("delivery given up: %s", refusal)
        finally:
            self._on_the_road.discard(order_id)

    async def _send(self, order_id: str, verb: str) -> None:
        # Both verbs may be repeated.
        await insist(partial(self._kitchen.post, f"/deliveries/{order_id}/{verb}"), random=self._random)


async def run_drivers(kitchen: Api, count: int, *, random: Random) -> None:
    """`count` drivers; never returns."""
    async with asyncio.TaskGroup() as group:
        drivers = Drivers(kitchen, count, group, random=random)
        await for_ever("drivers", drivers.look, random=random)
