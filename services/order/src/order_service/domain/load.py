"""How much the kitchen has to do, when an order would be ready, and when there is no room for one more."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from pizzeria_contracts.payloads import Priority

from order_service.domain.errors import KitchenFull

EXPRESS_RESERVE = 0.1
"""Part of the room that is kept for express orders alone."""

HEAD_START = timedelta(minutes=10)
"""Express orders are cooked before standard ones that came less than that earlier: the kitchen's rule."""

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Pace:
    """Pizzas that the kitchen cooks at once, and how long one takes; as assumed until it has told."""

    places: int = 8
    cooking: timedelta = timedelta(minutes=8)

    def time_for(self, pizzas: int) -> timedelta:
        """Until the last of so many is cooked: all places work in rounds."""
        return ceil(pizzas / max(self.places, 1)) * self.cooking


@dataclass(frozen=True)
class Backlog:
    """Orders that the kitchen has, or is about to get, and has not cooked; their pizzas.

    before_express: pizzas that are cooked before those of an express order that comes now.
    """

    orders: int = 0
    pizzas: int = 0
    before_express: int = 0

    def ahead_of(self, priority: Priority) -> int:
        return self.before_express if priority == "express" else self.pizzas


def lead(pizzas: int, priority: Priority, backlog: Backlog, pace: Pace) -> timedelta:
    """How long the kitchen takes for an order that comes now. Never less when there is more to do."""
    return pace.time_for(backlog.ahead_of(priority) + pizzas)


def check_room(priority: Priority, backlog: Backlog, pace: Pace, most: int) -> None:
    """Let one more order in, or say when to come again.

    Standard orders leave a tenth of the room to express ones.

    Args:
        most: orders that may be open at the same time.
    Raises: KitchenFull.
    """
    room = most if priority == "express" else max(1, most - int(most * EXPRESS_RESERVE))
    if backlog.orders < room:
        return
    each = backlog.pizzas / max(backlog.orders, 1)
    until_room = pace.time_for(ceil((backlog.orders - room + 1) * each))
    raise KitchenFull(
        room,
        retry_after=min(max(until_room, SHORTEST_WAIT), LONGEST_WAIT),
        empty_after=max(pace.time_for(backlog.pizzas), SHORTEST_WAIT),
    )
