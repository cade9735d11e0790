"""What the calls answer."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pizzeria_contracts.money import CURRENCY, Currency, Money
from pydantic import BaseModel, PlainSerializer, WithJsonSchema

from analytics_service.archive import Archived
from analytics_service.as_of import Standing as PastStanding

SignedAmount = Annotated[
    Decimal,
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{2}$", "examples": ["12.99", "-3.00"]}),
]


class Net(BaseModel):
    """Captured minus refunded. Below zero when money of earlier sales went back."""

    amount: SignedAmount
    currency: Currency = CURRENCY


class Takings(BaseModel):
    """Money of a span of time."""

    captured: Money
    refunded: Money
    revenue: Net


class PopularPizza(BaseModel):
    pizza_id: str
    count: int


class Popular(BaseModel):
    """The most ordered pizzas of all time, equals by id."""

    items: list[PopularPizza]
    next: str | None = None


class HourlyOrders(Takings):
    """One hour that begins at ``hour``: orders by what happened to them in it."""

    hour: datetime
    placed: int
    delivered: int
    cancelled: int


class Hourly(BaseModel):
    """The 24 hours of a day, UTC."""

    date: date
    items: list[HourlyOrders]
    next: str | None = None


class DailyRevenue(Takings):
    date: date


class Revenue(Takings):
    """A span of days, UTC, both ends included: the sum, and each day."""

    items: list[DailyRevenue]
    next: str | None = None


class Step(BaseModel):
    """One event of an order's journey."""

    time: datetime
    type: str
    source: str
    stream: str
    sequence: int | None
    traceparent: str | None
    causationid: str | None
    data: dict[str, Any]


class Journey(BaseModel):
    """Every archived event of one order in the order of their times."""

    order_id: str
    items: list[Step]
    next: str | None = None


class Cancelled(BaseModel):
    reason: str
    count: int


class Cancellations(BaseModel):
    """Why orders were cancelled, in a span of days, UTC, both ends included; most frequent first."""

    total: int
    items: list[Cancelled]
    next: str | None = None


class AsOf(Takings):
    """How things stood: popularity by confirmed orders, money, and how many orders were in each state."""

    time: datetime
    popular: list[PopularPizza]
    orders: dict[str, int]


class Standing(BaseModel):
    """A place on a board; equals by id. `score` is a number, or money where the board counts money."""

    rank: int
    id: str
    score: int | float | Net


class Leaderboard(BaseModel):
    """`since` is the first day that counts, null for all time; `unit` is what the scores are of."""

    name: str
    window: Literal["day", "week", "all"]
    since: date | None
    unit: str
    items: list[Standing]
    next: str | None = None


def hourly(day: date, counts: Mapping[str, int]) -> Hourly:
    def one(hour: int) -> HourlyOrders:
        def count(what: str) -> int:
            return counts.get(f"{hour:02}:{what}", 0)

        return HourlyOrders(
            hour=datetime.combine(day, time(hour), UTC),
            placed=count("placed"),
            delivered=count("delivered"),
            cancelled=count("cancelled"),
            **_takings(count("captured"), count("refunded")),
        )

    return Hourly(date=day, items=[one(hour) for hour in range(24)])


def revenue(days: Mapping[date, Mapping[str, int]]) -> Revenue:
    def total(what: str, *days: Mapping[str, int]) -> int:
        return sum(n for day in days for name, n in day.items() if name.endswith(f":{what}"))

    def takings(*days: Mapping[str, int]) -> dict[str, Any]:
        return _takings(total("captured", *days), total("refunded", *days))

    return Revenue(
        items=[DailyRevenue(date=day, **takings(counts)) for day, counts in days.items()],
        **takings(*days.values()),
    )


def as_of(moment: datetime, then: PastStanding) -> AsOf:
    best = sorted(then.pizzas.items(), key=lambda found: (-found[1], found[0]))
    return AsOf(
        time=moment,
        popular=[PopularPizza(pizza_id=pizza, count=count) for pizza, count in best[:100]],
        orders=then.orders,
        **_takings(then.captured, then.refunded),
    )


def cancellations(days: Iterable[Mapping[str, int]]) -> Cancellations:
    reasons: Counter[str] = Counter()
    for counts in days:
        for name, count in counts.items():
            if name.startswith("reason:"):
                reasons[name.removeprefix("reason:")] += count
    return Cancellations(
        total=reasons.total(),
        items=[
            Cancelled(reason=reason, count=count)
            for reason, count in sorted(reasons.items(), key=lambda found: (-found[1], found[0]))
        ],
    )


def journey(order_id: str, events: list[Archived]) -> Journey:
    return Journey(
        order_id=order_id,
        items=[
            Step.model_validate({**archived.event.model_dump(), "stream": archived.stream})
            for archived in events
        ],
    )


def net(cents: int) -> Net:
    return Net(amount=_euros(cents))


def _takings(captured: int, refunded: int) -> dict[str, Any]:
    return {
        "captured": Money.of(_euros(captured)),
        "refunded": Money.of(_euros(refunded)),
        "revenue": net(captured - refunded),
    }


def _euros(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
