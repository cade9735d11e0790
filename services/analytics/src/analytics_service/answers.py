"""What the calls answer."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pizzeria_contracts.money import CURRENCY, Currency, Money
from pydantic import BaseModel, PlainSerializer, WithJsonSchema

from analytics_service.archive import Archived
from analytics_service.fold import Hour

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


class ProjectionState(BaseModel):
    """How far the projections are behind the archive; equal numbers: not at all."""

    archive_head: int
    checkpoint: int
    unreadable: int


def hourly(day: date, counts: Mapping[Hour, int]) -> Hourly:
    def one(hour: int) -> HourlyOrders:
        def count(what: str) -> int:
            return counts.get(Hour(day, hour, what), 0)

        return HourlyOrders(
            hour=datetime.combine(day, time(hour), UTC),
            placed=count("placed"),
            delivered=count("delivered"),
            cancelled=count("cancelled"),
            **_takings(count("captured"), count("refunded")),
        )

    return Hourly(date=day, items=[one(hour) for hour in range(24)])


def revenue(first: date, last: date, counts: Mapping[Hour, int]) -> Revenue:
    def total(what: str, first: date, last: date) -> int:
        return sum(n for hour, n in counts.items() if hour.what == what and first <= hour.day <= last)

    def takings(first: date, last: date) -> dict[str, Any]:
        return _takings(total("captured", first, last), total("refunded", first, last))

    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return Revenue(
        items=[DailyRevenue(date=day, **takings(day, day)) for day in days], **takings(first, last)
    )


def journey(order_id: str, events: list[Archived]) -> Journey:
    return Journey(
        order_id=order_id,
        items=[
            Step.model_validate({**archived.event.model_dump(), "stream": archived.stream})
            for archived in events
        ],
    )


def _takings(captured: int, refunded: int) -> dict[str, Any]:
    return {
        "captured": Money.of(_euros(captured)),
        "refunded": Money.of(_euros(refunded)),
        "revenue": Net(amount=_euros(captured - refunded)),
    }


def _euros(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
