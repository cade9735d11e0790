"""Tells pages that an order changed: "look again", over pub/sub, never the facts themselves."""

from collections.abc import Mapping

from pizzeria_chassis.health import Check
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_contracts.channels import live_order
from rediscore.pubsub import LiveChannels

from order_service.domain.order import Order

MOST_WAITING = 1000
IDLE_SECONDS = 60.0


class LiveHints:
    """Says each hint once, beside the work that changed the order, so that Redis can slow nobody down."""

    def __init__(self, channels: LiveChannels) -> None:
        self._channels = channels
        self._waiting: dict[str, int] = {}
        self._task = PeriodicTask("live-hints", IDLE_SECONDS, self._say)

    def changed(self, order: Order) -> None:
        """Never blocks. Beyond 1000 waiting hints new ones are dropped: pages look again anyway."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting[order.id] = order.version
            self._task.nudge()

    async def start(self) -> None:
        await self._task.start()

    async def stop(self) -> None:
        await self._task.stop()

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def _say(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for order_id, version in waiting.items():
            await self._channels.notify(live_order(order_id), {"version": version})
