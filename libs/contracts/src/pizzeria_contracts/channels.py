"""Pub/sub channels. They carry hints to look again, never facts."""

from typing import Final

__all__ = ["LIVE_ANALYTICS", "LIVE_KITCHEN", "MENU_INVALIDATE", "live_order"]

LIVE_KITCHEN: Final = "live.kitchen"
LIVE_ANALYTICS: Final = "live.analytics"
MENU_INVALIDATE: Final = "menu.invalidate"


def live_order(order_id: str) -> str:
    """Return the channel that says "look again" about one order."""
    return f"live.orders.{order_id}"
