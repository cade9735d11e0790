"""Hints for live pages over pub/sub: they only say "look again"."""

from pizzeria_contracts.channels import LIVE_KITCHEN
from rediscore.pubsub import LiveChannels


class LiveHints:
    def __init__(self, channels: LiveChannels) -> None:
        self._channels = channels

    async def changed(self, order_id: str) -> None:
        await self._channels.notify(LIVE_KITCHEN, {"order_id": order_id})
