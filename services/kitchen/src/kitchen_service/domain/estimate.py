"""When an order will be ready: an honest guess from the work that waits and the places to cook it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, combinations

from kitchen_service.domain.station import Skill, Station

TYPICAL_COOKING = timedelta(minutes=8)
"""Until the kitchen has measured itself."""

MEASURED = 20
"""It is the mean of that many finished pizzas."""

Work = Mapping[Skill, int]
"""Pizzas to cook, by the skill that they need."""


def typical_cooking(measured: Sequence[timedelta]) -> timedelta:
    """What one pizza takes: the mean of the last ones."""
    return sum(measured, timedelta()) / len(measured) if measured else TYPICAL_COOKING


def at_work(stations: Sequence[Station], now: datetime) -> list[Station]:
    """The stations to count on: those on duty; all open ones while nobody is."""
    return [s for s in stations if s.on_duty(now)] or [s for s in stations if s.open]


def rounds(ahead: Work, own: Work, stations: Sequence[Station]) -> int:
    """How often the stations must be full until the last of `own` is cooked.

    Work that needs some skills can only be done where one of them is: so each set of skills with our own
    work in it needs at least its work divided by its places, and the largest of these decides (Hall's
    condition for flows). It never falls when there is more to do, or when there are fewer places.
    A skill that nobody has counts as one place: somebody will have to be found.
    """
    needed = sorted(skill for skill in Skill if own.get(skill))
    return max((_rounds_of(set(skills), ahead, own, stations) for skills in _sets_with(needed)), default=0)


def ready_at(
    *, start: datetime, ahead: Work, own: Work, stations: Sequence[Station], cooking: timedelta
) -> datetime:
    """Time at which the last of `own` pizzas is cooked.

    Args:
        start: when cooking may begin (now, or the time that the guest chose).
        ahead: pizzas that will be cooked before ours.
        stations: those at work.
        cooking: time for one pizza.
    """
    return start + rounds(ahead, own, stations) * cooking


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the estimates of the last orders compare with what then happened; None without any order."""

    orders: int
    mean_absolute_error: timedelta | None
    bias: timedelta | None
    """Mean of ready minus estimated: positive when the guests waited longer than they were told."""


def accuracy(estimated_and_ready: Iterable[tuple[datetime, datetime]]) -> Accuracy:
    errors = [ready - estimated for estimated, ready in estimated_and_ready]
    if not errors:
        return Accuracy(0, None, None)
    return Accuracy(
        len(errors),
        sum(map(abs, errors), timedelta()) / len(errors),
        sum(errors, timedelta()) / len(errors),
    )


def _sets_with(needed: Sequence[Skill]) -> list[tuple[Skill, ...]]:
    every = list(Skill)
    sets = chain.from_iterable(combinations(every, size) for size in range(1, len(every) + 1))
    return [skills for skills in sets if set(skills) & set(needed)]


def _rounds_of(skills: set[Skill], ahead: Work, own: Work, stations: Sequence[Station]) -> int:
    work = sum(ahead.get(skill, 0) + own.get(skill, 0) for skill in skills)
    places = sum(station.capacity for station in stations if station.skills & skills)
    return -(-work // max(places, 1))
