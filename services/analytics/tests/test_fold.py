"""The fold: what each event adds to the projections."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from analytics_service.fold import Hour, Tally, fold
from pizzeria_contracts.events import (
    DeliveryCompleted,
    MenuItemRestored,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    Payload,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
)
from rediscore.streams import RawEvent

DAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def event(payload: Payload, *, time: datetime = NOON, **data: Any) -> RawEvent:
    """An event as it comes out of the archive."""
    return RawEvent(
        id=f"e-{time.timestamp()}-{payload.event_type}",
        source="/pizzeria/order",
        type=payload.event_type,
        subject="o-1",
        time=time,
        data={**payload.model_dump(mode="json"), **data},
    )


def order(kind: Callable[..., Payload], *lines: tuple[str, int]) -> Payload:
    items = [{"pizza_id": pizza, "size": "small", "quantity": n, "unit_price": "10.39"} for pizza, n in lines]
    return kind(customer_id="c-1", items=items, total="10.39")


def test_popularity_counts_pizzas_of_confirmed_orders() -> None:
    tally = fold(
        [
            event(order(OrderPlaced, ("margherita", 5))),  # placed only: may yet be declined
            event(order(OrderConfirmed, ("margherita", 2), ("hawaiian", 1))),
            event(order(OrderConfirmed, ("margherita", 1))),
        ]
    )
    assert tally.pizzas == {"margherita": 3, "hawaiian": 1}


def test_hours_count_what_happened_in_them_and_money_in_cents() -> None:
    tally = fold(
        [
            event(order(OrderPlaced, ("margherita", 1))),
            event(order(OrderPlaced, ("margherita", 1)), time=NOON + timedelta(hours=1)),
            event(PaymentCaptured(amount="12.99")),
            event(PaymentCaptured(amount="0.01")),
            event(PaymentRefunded(amount="12.99"), time=NOON + timedelta(hours=1)),
            event(PaymentDeclined(amount="99.00")),
            event(OrderCancelled(reason="customer", refunded="12.99"), time=NOON + timedelta(hours=1)),
            event(DeliveryCompleted(driver_id="d-1")),
        ]
    )
    assert tally.hours == {
        Hour(DAY, 12, "placed"): 1,
        Hour(DAY, 13, "placed"): 1,
        Hour(DAY, 12, "captured"): 1300,
        Hour(DAY, 13, "refunded"): 1299,
        Hour(DAY, 13, "cancelled"): 1,
        Hour(DAY, 12, "delivered"): 1,
    }


def test_hours_are_those_of_utc() -> None:
    in_lisbon = datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert fold([event(PaymentCaptured(amount="1.00"), time=in_lisbon)]).hours == {
        Hour(DAY, 23, "captured"): 100
    }


def test_events_that_nothing_counts_change_nothing() -> None:
    stranger = event(MenuItemRestored(version=1)).model_copy(update={"type": "pizzeria.order.teleported.v9"})
    assert fold([event(MenuItemRestored(version=1)), stranger]) == Tally()


def test_an_event_that_is_not_what_its_type_promises_is_counted_and_passed() -> None:
    broken = event(PaymentCaptured(amount="1.00"), amount="a lot")
    tally = fold([broken, event(PaymentCaptured(amount="1.00"))])
    assert tally.unreadable == 1
    assert tally.hours == {Hour(DAY, 12, "captured"): 100}


def test_fields_of_newer_producers_are_no_trouble() -> None:
    newer = event(PaymentCaptured(amount="1.00"), provider="acme")
    assert fold([newer]).unreadable == 0


@pytest.mark.proves("I6")
@pytest.mark.parametrize("seed", range(5))
def test_order_and_batches_do_not_matter(seed: int) -> None:
    random = Random(seed)
    events = [
        event(
            random.choice([order(OrderConfirmed, ("margherita", 2)), PaymentCaptured(amount="3.50")]),
            time=NOON + timedelta(minutes=random.randrange(3000)),
        )
        for _ in range(50)
    ]
    whole = fold(events)
    shuffled = random.sample(events, len(events))
    cut = random.randrange(len(events))
    first, second = fold(shuffled[:cut]), fold(shuffled[cut:])
    assert first.pizzas + second.pizzas == whole.pizzas
    assert first.hours + second.hours == whole.hours


def test_hours_are_readable_in_both_directions() -> None:
    hour = Hour(DAY, 7, "captured")
    assert str(hour) == "2026-11-21:07:captured"
    assert Hour.parse(str(hour)) == hour
