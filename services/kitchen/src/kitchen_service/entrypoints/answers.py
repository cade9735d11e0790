"""What the kitchen answers over HTTP."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Generic, Literal, Self, TypeVar

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict

from kitchen_service.adapters.views import Promised
from kitchen_service.domain.estimate import Accuracy
from kitchen_service.domain.history import Happening
from kitchen_service.domain.kitchen_order import KitchenOrder
from kitchen_service.domain.recipes import Recipe, needed_for, skill_for
from kitchen_service.domain.station import Skill, Station
from kitchen_service.domain.stock import Stock
from kitchen_service.domain.ticket import Pizza, Priority, Size, Ticket, TicketStatus

ItemT = TypeVar("ItemT")
Count = Annotated[int, Ge(0)]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[ItemT]):
    """`next` is what to pass as `after` for the next page, null at the end."""

    items: Sequence[ItemT]
    next: str | None = None


class TicketAnswer(Answer):
    """A ticket as everybody in the kitchen may see it: without the token of its holder."""

    ticket_id: str
    order_id: str
    pizza: str
    size: Size
    toppings: tuple[str, ...]
    priority: Priority
    skill: Skill
    status: TicketStatus
    attempt: int
    created_at: datetime
    due_at: datetime
    station_id: str | None
    started_at: datetime | None
    lease_until: datetime | None

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls.model_validate(_fields(ticket))


class ShownTicket(TicketAnswer):
    """`promised_at`: when the guest was told that the order would be ready; `late` when that has passed."""

    promised_at: datetime | None
    late: bool

    @classmethod
    def at(cls, now: datetime, shown: Promised) -> Self:
        ticket, promised = shown
        late = promised is not None and promised < now
        return cls.model_validate({**_fields(ticket), "promised_at": promised, "late": late})


class HeldTicket(TicketAnswer):
    """A ticket as its holder sees it; extend, complete and fail take the `fencing_token`."""

    fencing_token: int

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls.model_validate({**_fields(ticket), "fencing_token": ticket.fencing_token})


def _fields(ticket: Ticket) -> dict[str, object]:
    return {
        "ticket_id": ticket.id,
        "order_id": ticket.order_id,
        "pizza": ticket.pizza.pizza_id,
        "size": ticket.pizza.size,
        "toppings": ticket.pizza.toppings,
        "priority": ticket.priority,
        "skill": ticket.skill,
        "status": ticket.status,
        "attempt": ticket.failures + 1,
        "created_at": ticket.created_at,
        "due_at": ticket.due_at,
        "station_id": ticket.station_id,
        "started_at": ticket.started_at,
        "lease_until": ticket.lease_until,
    }


class StationAnswer(Answer):
    """`health`: working (holds tickets), waiting (asked for work within a minute), silent, or closed."""

    station_id: str
    capacity: int
    skills: tuple[Skill, ...]
    open: bool
    health: Literal["working", "waiting", "silent", "closed"]
    seen_at: datetime | None
    tickets: tuple[ShownTicket, ...]

    @classmethod
    def at(cls, now: datetime, station: Station, tickets: Sequence[Promised]) -> Self:
        idle = "closed" if not station.open else "waiting" if station.on_duty(now) else "silent"
        return cls.model_validate(
            {
                "station_id": station.id,
                "capacity": station.capacity,
                "skills": sorted(station.skills),
                "open": station.open,
                "health": "working" if tickets else idle,
                "seen_at": station.seen_at,
                "tickets": [ShownTicket.at(now, shown) for shown in tickets],
            }
        )


class EstimatesAnswer(Answer):
    """How the estimates of the last `orders` orders compare with what then happened, in seconds.

    `bias` is positive when guests waited longer than they were told. Null before the first order.
    """

    orders: Count
    mean_absolute_error_seconds: float | None
    bias_seconds: float | None
    typical_cooking_seconds: float

    @classmethod
    def of(cls, found: Accuracy, cooking: timedelta) -> Self:
        return cls(
            orders=found.orders,
            mean_absolute_error_seconds=_seconds(found.mean_absolute_error),
            bias_seconds=_seconds(found.bias),
            typical_cooking_seconds=cooking.total_seconds(),
        )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


class RecipeAnswer(Answer):
    """Portions of each ingredient by size, without extra toppings, and the skill that it takes."""

    pizza_id: str
    skill: Skill
    portions: dict[Size, dict[str, int]]

    @classmethod
    def of(cls, pizza_id: str, recipe: Recipe) -> Self:
        portions = {
            size: needed_for(Pizza(pizza_id=pizza_id, size=size, toppings=()), recipe) for size in Size
        }
        return cls(pizza_id=pizza_id, skill=skill_for(pizza_id), portions=portions)


class StockAnswer(Answer):
    """Portions of one ingredient: initial + restocked = in_stock + reserved + consumed."""

    ingredient: str
    initial: Count
    restocked: Count
    in_stock: Count
    reserved: Count
    consumed: Count
    low_below: Count
    low: bool

    @classmethod
    def of(cls, stock: Stock) -> Self:
        return cls(
            ingredient=stock.ingredient,
            initial=stock.initial,
            restocked=stock.restocked,
            in_stock=stock.in_stock,
            reserved=stock.reserved,
            consumed=stock.consumed,
            low_below=stock.low_below,
            low=stock.low,
        )


class PaceAnswer(Answer):
    """What an estimate is made of: pizzas that are cooked at once, and how long one takes."""

    places: Count
    cooking_seconds: float


class HistoryAnswer(Answer):
    """One thing that happened to a ticket."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    ticket_id: str
    time: datetime
    what: Happening
    station_id: str | None
    fencing_token: int
    lease_until: datetime | None
    attempt: int
    failure: str | None
    trace_id: str | None


class DeliveryAnswer(Answer):
    order_id: str
    status: Literal["ready", "delivering", "delivered"]
    driver_id: str | None
    ready_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, order: KitchenOrder) -> Self:
        return cls.model_validate(
            {
                "order_id": order.id,
                "status": order.status.value,
                "driver_id": order.driver_id,
                "ready_at": order.ready_at,
                "started_at": order.departed_at,
                "completed_at": order.arrived_at,
            }
        )
