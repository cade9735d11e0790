"""How long things took, as percentiles."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Self

from pydantic import BaseModel

from analytics_service.histogram import RELATIVE_ERROR, percentile

TIMINGS: Final = ("waiting", "preparation", "ready-to-delivered", "order-to-delivered")


class Percentiles(BaseModel):
    """In seconds; null where nothing was measured."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None

    @classmethod
    def of(cls, counts: Mapping[int, int], **names: str | int) -> Self:
        def seconds(percent: float) -> float | None:
            found = percentile(counts, percent)
            return None if found is None else round(found / 1000, 3)

        return cls.model_validate(
            {
                "count": sum(counts.values()),
                "p50": seconds(50),
                "p90": seconds(90),
                "p99": seconds(99),
                **names,
            }
        )


class OfPriority(Percentiles):
    priority: str


class OfHour(Percentiles):
    """What ended in this hour of the day (UTC)."""

    hour: int


class OfPizza(Percentiles):
    pizza_id: str


class Timing(Percentiles):
    """`waiting`: from the kitchen's acceptance to the start of each pizza. `preparation`: from its start to
    its end. Orders for later have no `waiting` and no `order-to-delivered`. `by_pizza` has what was prepared
    for orders of one kind of pizza, because only of those it is known which pizza it was."""

    timing: str
    by_priority: list[OfPriority]
    by_hour: list[OfHour]
    by_pizza: list[OfPizza]


class Timings(BaseModel):
    """Of what ended in a span of days, UTC, both included; percentiles are right but for `relative_error`."""

    relative_error: float = RELATIVE_ERROR
    since: date
    until: date
    items: list[Timing]
    next: str | None = None


def timings(first: date, last: date, days: Iterable[Mapping[str, int]]) -> Timings:
    """From the fields of the days' tables (`tally.timings_table`)."""
    cells: Counter[tuple[str, int, str, int]] = Counter()
    pizzas: dict[str, Counter[int]] = {}
    for counts in days:
        for name, count in counts.items():
            kind, *rest = name.split(":")
            if kind == "pizza":
                pizzas.setdefault(rest[0], Counter())[int(rest[1])] += count
            else:
                hour, priority, bucket = rest
                cells[kind, int(hour), priority, int(bucket)] += count

    def one(timing: str) -> Timing:
        overall: Counter[int] = Counter()
        priorities: dict[str, Counter[int]] = {}
        hours: dict[int, Counter[int]] = {}
        for (kind, hour, priority, bucket), count in cells.items():
            if kind == timing:
                overall[bucket] += count
                priorities.setdefault(priority, Counter())[bucket] += count
                hours.setdefault(hour, Counter())[bucket] += count
        of_pizzas = sorted(pizzas.items()) if timing == "preparation" else []
        return Timing(
            timing=timing,
            by_priority=[OfPriority.of(of, priority=name) for name, of in sorted(priorities.items())],
            by_hour=[OfHour.of(of, hour=hour) for hour, of in sorted(hours.items())],
            by_pizza=[OfPizza.of(of, pizza_id=pizza) for pizza, of in of_pizzas],
            **Percentiles.of(overall).model_dump(),
        )

    return Timings(since=first, until=last, items=[one(timing) for timing in TIMINGS])
