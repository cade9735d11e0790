"""When an order will be ready: an honest guess from the work that waits and the places to cook it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

TYPICAL_COOKING = timedelta(minutes=8)
"""Until the kitchen has measured itself."""


def typical_cooking(measured: Sequence[timedelta]) -> timedelta:
    """What one pizza takes: the mean of the last ones."""
    return sum(measured, timedelta()) / len(measured) if measured else TYPICAL_COOKING


def ready_at(*, start: datetime, ahead: int, own: int, places: int, cooking: timedelta) -> datetime:
    """Time at which the last of `own` pizzas is cooked.

    All places work in rounds: what is ahead and our own share them. It never falls when there is more
    to do or when there are fewer places.

    Args:
        start: when cooking may begin (now, or the time that the guest chose).
        ahead: pizzas that will be cooked before ours.
        places: pizzas that all stations together can cook at once, at least 1.
        cooking: time for one pizza.
    """
    rounds = -(-(ahead + own) // max(places, 1))
    return start + rounds * cooking
