"""Made-up orders with everything that happens to orders, as events out of the archive."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pizzeria_contracts.events import (
    DeliveryCompleted,
    DeliveryStarted,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderReady,
    Payload,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    TicketAccepted,
    TicketCompleted,
    TicketStarted,
)
from rediscore.streams import RawEvent

PIZZAS = ("margherita", "hawaiian", "pepperoni")
STATIONS = ("oven-1", "oven-2")


def event(
    payload: Payload, *, subject: str = "o-1", time: datetime, number: int = 0, **data: Any
) -> RawEvent:
    """An event as it comes out of the archive."""
    return RawEvent(
        id=f"{subject}/{payload.event_type}/{number}/{time.isoformat()}",
        source="/pizzeria/order",
        type=payload.event_type,
        subject=subject,
        time=time,
        data={**payload.model_dump(mode="json"), **data},
    )


def content(customer: str, pizzas: Sequence[str], total: str, **more: Any) -> dict[str, Any]:
    """What an order is about."""
    items = [{"pizza_id": pizza, "size": "medium", "quantity": 1, "unit_price": "9.99"} for pizza in pizzas]
    return {"customer_id": customer, "items": items, "total": total, **more}


def order(random: Random, number: int, at: datetime, customers: int = 5) -> Iterator[RawEvent]:
    """One order, placed at a time: delivered, under way, declined, cancelled before or in the kitchen."""
    subject = f"o-{number}"
    pizzas = random.choices(PIZZAS, k=random.randint(1, 3))
    total = f"{random.randint(1, 60)}.{random.randint(0, 99):02}"
    scheduled = at + timedelta(hours=3) if random.random() < 0.1 else None
    about = content(
        f"c-{random.randrange(customers)}", pizzas, total,
        priority=random.choice(["standard", "express"]), scheduled_for=scheduled,
    )  # fmt: skip

    def told(payload: Payload, part: int = 0) -> RawEvent:
        nonlocal at
        at += timedelta(milliseconds=random.randint(1, 600_000))
        return event(payload, subject=subject, time=at, number=part)

    yield event(OrderPlaced(**about), subject=subject, time=at)
    if random.random() < 0.1:
        yield told(PaymentDeclined(amount=total))
        yield told(OrderCancelled(reason="payment-declined", refunded="0.00"))
        return
    yield told(PaymentCaptured(amount=total))
    yield told(OrderConfirmed(**about))
    if random.random() < 0.15:
        yield told(PaymentRefunded(amount=total))
        yield told(OrderCancelled(reason=random.choice(["customer", "Somebody's own words"]), refunded=total))
        return
    tickets = [f"{subject}-t{part}" for part in range(len(pizzas))]
    yield told(TicketAccepted(tickets=tuple(tickets), estimated_ready_at=at))
    for part, ticket in enumerate(tickets):
        station = random.choice(STATIONS)
        if random.random() < 0.2:
            yield told(TicketStarted(ticket_id=ticket, station_id="oven-dead"), part)
        yield told(TicketStarted(ticket_id=ticket, station_id=station), part + 10)
        yield told(
            TicketCompleted(ticket_id=ticket, station_id=station, seconds=random.uniform(0, 900)), part
        )
    yield told(OrderReady())
    if random.random() < 0.8:
        yield told(DeliveryStarted(driver_id="d-1"))
        yield told(DeliveryCompleted(driver_id="d-1"))


def evening(seed: int, orders: int, *, now: datetime | None = None, days: float = 20) -> list[RawEvent]:
    """Orders of the last days up to now, each event after the other of its order, else mixed."""
    random, newest = Random(seed), now or datetime.now(UTC)
    found: list[RawEvent] = []
    for number in range(orders):
        placed = newest - timedelta(days=random.uniform(0.2, days))
        found += order(random, number, placed)
    return sorted(found, key=lambda one: (one.time, one.id))
