"""Who belongs to which segment, and until when: a pure function of what a customer ordered by day.

Days are those of UTC. Nobody has to look for those who leave: a membership ends by itself at midnight of the
day on which it is no longer true. Lapsed is who was seen within a year and is not current: nobody has to look
for those either.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from rediscore.sets import Expression, Segments

from analytics_service.tally import CUSTOMER_DAYS_KEPT, Tally, customer_of

NEW_DAYS: Final = 14
CURRENT_DAYS: Final = 30
REGULAR_ORDERS: Final = 3
REGULAR_DAYS: Final = 30
SPENDER_CENTS: Final = 100_00
SPENDER_DAYS: Final = 90
FAVOURITE_DAYS: Final = 90
LIKES: Final = "likes-"
"""Of segments by favourite pizza: `likes-margherita`."""

# Stored sets; `lapsed` is worked out of the first two.
_SEEN: Final = "seen"
_CURRENT: Final = "current"
_STORED: Final = ("new", "regular", "big-spender")

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "new": f"first order of the past year less than {NEW_DAYS} days ago",
    "regular": f"{REGULAR_ORDERS} orders or more within {REGULAR_DAYS} days",
    "lapsed": f"ordered within a year, but not for {CURRENT_DAYS} days",
    "big-spender": f"{SPENDER_CENTS // 100} EUR or more within {SPENDER_DAYS} days",
}

Memberships = Mapping[str, date]
"""Names of stored sets by the first day on which the customer is no longer in them."""


@dataclass
class _Day:
    orders: int = 0
    cents: int = 0
    pizzas: Counter[str] = field(default_factory=Counter)


def memberships(fields: Mapping[str, int]) -> Memberships:
    """The sets of a customer whose table has these fields."""
    days = _days(fields)
    if not days:
        return {}
    first, last = min(days), max(days)
    found = {
        _SEEN: last + timedelta(days=CUSTOMER_DAYS_KEPT - 1),
        _CURRENT: last + timedelta(days=CURRENT_DAYS),
        "new": first + timedelta(days=NEW_DAYS),
    }
    orders = {day: of.orders for day, of in days.items()}
    if regular := _reached_until(orders, REGULAR_ORDERS, REGULAR_DAYS):
        found["regular"] = regular
    if spender := _reached_until({day: of.cents for day, of in days.items()}, SPENDER_CENTS, SPENDER_DAYS):
        found["big-spender"] = spender
    if favourite := _favourite(days, last):
        found[LIKES + favourite] = last + timedelta(days=FAVOURITE_DAYS)
    return found


def _days(fields: Mapping[str, int]) -> dict[date, _Day]:
    days: defaultdict[date, _Day] = defaultdict(_Day)
    for name, amount in fields.items():
        day, what, *pizza = name.split(":", 2)
        of = days[date.fromisoformat(day)]
        if what == "orders":
            of.orders += amount
        elif what == "cents":
            of.cents += amount
        else:
            of.pizzas[pizza[0]] += amount
    return {day: of for day, of in days.items() if of.orders}


def _reached_until(amounts: Mapping[date, int], wanted: int, within: int) -> date | None:
    """The first day on which the amounts of the last `within` days no longer come to what is wanted; None
    when all of them together do not. It is the newest amounts that count, for they are the last to go."""
    total = 0
    for day in sorted(amounts, reverse=True):
        total += amounts[day]
        if total >= wanted:
            return day + timedelta(days=within)
    return None


def _favourite(days: Mapping[date, _Day], last: date) -> str | None:
    """What was ordered most often in the time before the last order; equals by id."""
    pizzas: Counter[str] = Counter()
    for day, of in days.items():
        if day > last - timedelta(days=FAVOURITE_DAYS):
            pizzas.update(of.pizzas)
    return min(pizzas, key=lambda pizza: (-pizzas[pizza], pizza), default=None)


@dataclass(frozen=True, slots=True)
class Move:
    """A customer comes into a set, or stays until another day, or leaves it (`until` None)."""

    segment: str
    customer_id: str
    until: date | None


def moves(before: Mapping[str, Mapping[str, int]], tally: Tally) -> Iterator[Move]:
    """What the tally changes for customers whose tables are `before`, by customer id."""
    after = {customer_id: Counter(fields) for customer_id, fields in before.items()}
    for cell, amount in tally.items():
        if customer_id := customer_of(cell):
            after[customer_id][cell.field] += amount
    for customer_id, fields in before.items():
        old, new = memberships(fields), memberships(+after[customer_id])
        for segment in sorted(old.keys() | new.keys()):
            if old.get(segment) != new.get(segment):
                yield Move(segment, customer_id, new.get(segment))


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def names(pizzas: list[str]) -> list[str]:
    """Of all segments, when these pizzas were ever ordered."""
    return [*DESCRIPTIONS, *(LIKES + pizza for pizza in sorted(pizzas))]


def stored_sets(pizzas: list[str]) -> list[str]:
    """Of all sets that are stored, when these pizzas were ever ordered."""
    return [_SEEN, _CURRENT, *_STORED, *(LIKES + pizza for pizza in sorted(pizzas))]


def description(name: str) -> str:
    if name.startswith(LIKES):
        return f"likes {name.removeprefix(LIKES)} best, by what was ordered within {FAVOURITE_DAYS} days"
    return DESCRIPTIONS[name]


def expression(segments: Segments, generation: str, name: str) -> Expression:
    """The segment of that name in a generation of the projections."""
    if name == "lapsed":
        return segments[f"{generation}:{_SEEN}"] - segments[f"{generation}:{_CURRENT}"]
    return segments[f"{generation}:{name}"]


def holds(name: str, member: Memberships, today: date) -> bool:
    """Whether a customer with these memberships is in the segment of that name on that day."""

    def lives(stored: str) -> bool:
        return stored in member and today < member[stored]

    if name == "lapsed":
        return lives(_SEEN) and not lives(_CURRENT)
    return lives(name)
