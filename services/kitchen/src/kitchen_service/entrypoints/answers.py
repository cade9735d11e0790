"""What the kitchen answers over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict

from kitchen_service.domain.history import Happening
from kitchen_service.domain.kitchen_order import KitchenOrder
from kitchen_service.domain.station import Station
from kitchen_service.domain.stock import Stock
from kitchen_service.domain.ticket import Priority, Size, Ticket, TicketStatus

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
        "status": ticket.status,
        "attempt": ticket.failures + 1,
        "created_at": ticket.created_at,
        "due_at": ticket.due_at,
        "station_id": ticket.station_id,
        "started_at": ticket.started_at,
        "lease_until": ticket.lease_until,
    }


class StationAnswer(Answer):
    station_id: str
    capacity: int
    tickets: tuple[TicketAnswer, ...]

    @classmethod
    def of(cls, station: Station, tickets: Sequence[Ticket]) -> Self:
        return cls(
            station_id=station.id,
            capacity=station.capacity,
            tickets=tuple(TicketAnswer.of(ticket) for ticket in tickets),
        )


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
