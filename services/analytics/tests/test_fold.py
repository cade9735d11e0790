"""The fold: what each order adds to the projections."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from analytics_service.fold import LAYOUT, change, contribution
from analytics_service.histogram import bucket_of
from analytics_service.picture import picture_of
from analytics_service.tally import (
    Cell,
    Table,
    Tally,
    board_table,
    customer_table,
    day_table,
    kept_tables,
    timings_table,
    total,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pizzeria_contracts.events import (
    DeliveryCompleted,
    MenuItemRestored,
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

from services.analytics.tests.evening import content, evening, event

DAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def at(seconds: float, payload: Payload, number: int = 0) -> RawEvent:
    return event(payload, time=NOON + timedelta(seconds=seconds), number=number)


def about(*pizzas: str, **more: Any) -> dict[str, Any]:
    return content("c-1", pizzas or ("margherita",), "12.99", **more)


def fields(tally: Tally, table: Table) -> dict[str, int]:
    return {cell.field: n for cell, n in tally.items() if cell.table == table and n}


def by_order(events: list[RawEvent]) -> dict[str, list[RawEvent]]:
    found: dict[str, list[RawEvent]] = {}
    for one in events:
        found.setdefault(one.subject, []).append(one)
    return found


def test_popularity_counts_pizzas_of_confirmed_orders() -> None:
    placed = at(0, OrderPlaced(**about("margherita")))  # may yet be declined
    assert fields(contribution([placed]), board_table("pizzas", "all", NOON)) == {}
    tally = contribution([placed, at(1, OrderConfirmed(**about("margherita", "hawaiian", "margherita")))])
    for window in ("day", "week", "all"):
        assert fields(tally, board_table("pizzas", window, NOON)) == {"margherita": 2, "hawaiian": 1}


@pytest.mark.proves("P11")
def test_hours_count_what_happened_in_them_and_money_in_cents() -> None:
    tally = contribution(
        [
            at(0, OrderPlaced(**about())),
            at(1, PaymentCaptured(amount="12.99"), 1),
            at(2, PaymentCaptured(amount="0.01"), 2),
            at(3600, PaymentRefunded(amount="12.99")),
            at(3, PaymentDeclined(amount="99.00")),
            at(3601, OrderCancelled(reason="customer", refunded="12.99")),
        ]
    )
    assert fields(tally, day_table(DAY)) == {
        "12:placed": 1,
        "12:captured": 1300,
        "13:refunded": 1299,
        "13:cancelled": 1,
        "reason:customer": 1,
    }


def test_reasons_are_slugs_or_other() -> None:
    for reason, counted in {
        "kitchen-timeout": "kitchen-timeout", "I changed my mind": "other", "x" * 50: "other", "a:b": "other",
    }.items():  # fmt: skip
        tally = contribution([at(0, OrderCancelled(reason=reason, refunded="0.00"))])
        assert fields(tally, day_table(DAY)) == {"12:cancelled": 1, f"reason:{counted}": 1}


@pytest.mark.proves("P11")
def test_timings_pair_events_whatever_stream_they_come_from() -> None:
    events = [
        at(0, OrderPlaced(**about("hawaiian", "hawaiian", priority="express"))),
        at(5, TicketAccepted(tickets=("t-1", "t-2"), estimated_ready_at=NOON)),
        at(15, TicketStarted(ticket_id="t-1", station_id="oven-dead"), 1),  # its lease ran out
        at(40, TicketStarted(ticket_id="t-1", station_id="oven-1"), 2),
        at(35, TicketStarted(ticket_id="t-2", station_id="oven-2"), 3),
        at(100, TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=60), 1),
        at(100, TicketCompleted(ticket_id="t-2", station_id="oven-2", seconds=65), 2),
        at(100, OrderReady()),
        at(400, DeliveryCompleted(driver_id="d-1")),
    ]

    def took(timing: str, *seconds: int) -> dict[str, int]:
        return {f"{timing}:12:express:{bucket_of(1000 * one)}": 1 for one in seconds}

    assert fields(contribution(events), timings_table(DAY)) == {
        **took("waiting", 10, 30),
        **took("preparation", 60, 65),
        **took("ready-to-delivered", 300),
        **took("order-to-delivered", 400),
        f"pizza:hawaiian:{bucket_of(60_000)}": 1,
        f"pizza:hawaiian:{bucket_of(65_000)}": 1,
    }


def test_an_order_for_later_does_not_wait_and_takes_no_time() -> None:
    later = about(scheduled_for=NOON + timedelta(hours=5))
    tally = contribution(
        [
            at(0, OrderPlaced(**later)),
            at(5, TicketAccepted(tickets=("t-1",), estimated_ready_at=NOON)),
            at(900, TicketStarted(ticket_id="t-1", station_id="oven-1")),
            at(960, TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=60)),
            at(2000, DeliveryCompleted(driver_id="d-1")),
        ]
    )
    assert {name.split(":")[0] for name in fields(tally, timings_table(DAY))} == {"preparation", "pizza"}


def test_of_a_mixed_order_nobody_says_which_pizza_it_was() -> None:
    tally = contribution(
        [
            at(0, OrderPlaced(**about("hawaiian", "margherita"))),
            at(60, TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=60)),
        ]
    )
    assert {name.split(":")[0] for name in fields(tally, timings_table(DAY))} == {"preparation"}


def test_stations_are_counted_with_their_time() -> None:
    tally = contribution(
        [
            at(1, TicketCompleted(ticket_id="t-1", station_id="oven-1", seconds=60.5), 1),
            at(2, TicketCompleted(ticket_id="t-2", station_id="oven-1", seconds=30), 2),
            at(3, TicketCompleted(ticket_id="t-2", station_id="oven-2", seconds=30), 3),  # told twice
        ]
    )
    assert fields(tally, board_table("stations-completed", "day", NOON)) == {"oven-1": 2}
    assert fields(tally, board_table("stations-milliseconds", "all", NOON)) == {"oven-1": 90_500}


def test_an_order_that_was_cancelled_in_the_end_counts_for_no_customer() -> None:
    events = [at(0, OrderConfirmed(**about("hawaiian"))), at(1, PaymentCaptured(amount="12.99"))]
    money = board_table("customers-money", "week", NOON)
    assert fields(contribution(events), money) == {"c-1": 1299}
    assert fields(contribution(events), customer_table("c-1")) == {
        "2026-11-21:orders": 1, "2026-11-21:cents": 1299, "2026-11-21:pizza:hawaiian": 1,
    }  # fmt: skip
    gone = [
        at(2, PaymentRefunded(amount="12.99")),
        at(3, OrderCancelled(reason="customer", refunded="12.99")),
    ]
    after = total([contribution(events), change(events, gone)])
    assert fields(after, money) == fields(after, customer_table("c-1")) == {}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2 * 366 * 24 * 3600), st.integers(-14, 14))
def test_hours_days_and_weeks_are_those_of_utc_wherever_clocks_stand(moment: int, offset: int) -> None:
    """Daylight saving, leap days and new years change nothing: an hour is an hour of UTC."""
    utc = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
    elsewhere = utc.astimezone(timezone(timedelta(hours=offset)))
    payload = OrderConfirmed(**about())
    told = [event(payload, time=elsewhere), event(PaymentCaptured(amount="1.00"), time=elsewhere)]
    tally = contribution(told)
    assert tally == contribution([one.model_copy(update={"time": utc}) for one in told])
    assert fields(tally, day_table(utc.date())) == {f"{utc.hour:02}:captured": 100}
    assert fields(tally, board_table("pizzas", "day", utc)) == {"margherita": 1}


@settings(max_examples=40, deadline=None)
@given(st.dates(date(2026, 1, 1), date(2030, 1, 1)))
def test_weeks_begin_on_monday_and_what_is_kept_is_what_is_read(day: date) -> None:
    monday = day - timedelta(days=day.weekday())
    first = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
    week = board_table("pizzas", "week", first)
    assert board_table("pizzas", "week", first + timedelta(days=7, microseconds=-1)) == week
    assert board_table("pizzas", "week", first - timedelta(microseconds=1)) != week
    assert board_table("pizzas", "week", first + timedelta(days=7)) != week
    tables = list(kept_tables(day))
    assert all(table.kept(day) for table in tables)
    assert len(set(tables)) == len(tables)
    for ago in range(30):
        past = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC) - timedelta(days=ago)
        for table in (day_table(past.date()), board_table("pizzas", "day", past)):
            assert table.kept(day) == (table in tables) == (ago < 8)
        assert board_table("pizzas", "week", past).kept(day) == (
            board_table("pizzas", "week", past) in tables
        )


def test_events_that_nothing_counts_change_nothing() -> None:
    stranger = at(0, MenuItemRestored(version=1)).model_copy(update={"type": "pizzeria.order.teleported.v9"})
    assert contribution([at(0, MenuItemRestored(version=1)), stranger]) == Tally()


def test_an_event_that_is_not_what_its_type_promises_is_counted_and_passed() -> None:
    broken = event(PaymentCaptured(amount="1.00"), time=NOON, amount="a lot")
    tally = contribution([broken, at(1, PaymentCaptured(amount="1.00"))])
    assert fields(tally, Table("totals")) == {"unreadable": 1}
    assert fields(tally, day_table(DAY)) == {"12:captured": 100}


def test_fields_of_newer_producers_are_no_trouble() -> None:
    newer = event(PaymentCaptured(amount="1.00"), time=NOON, provider="acme")
    assert Cell(Table("totals"), "unreadable") not in contribution([newer])


@pytest.mark.proves("I6", "P11")
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_neither_the_order_of_events_nor_batches_matter(seed: int) -> None:
    """Streams are mixed in any way, and events come late: the steps of a projector sum up to the same."""
    random = Random(seed)
    events = evening(seed, 12, now=NOON)
    whole = total(contribution(of) for of in by_order(events).values())
    shuffled = random.sample(events, len(events))
    known: dict[str, list[RawEvent]] = {}
    stepwise = Tally()
    while shuffled:
        batch, shuffled = shuffled[: (cut := random.randint(1, 30))], shuffled[cut:]
        for subject, news in by_order(batch).items():
            stepwise.update(change(known.get(subject, []), news))
            known.setdefault(subject, []).extend(news)
    assert +stepwise == +whole
    assert not any(amount < 0 for amount in stepwise.values())


@pytest.mark.proves("P11", "I2")
@settings(max_examples=25, deadline=None)
@given(st.lists(st.decimals("0.01", "9999.99", places=2), min_size=1, max_size=30))
def test_money_is_exact(amounts: list[Any]) -> None:
    tally = contribution(
        event(PaymentCaptured(amount=str(amount)), time=NOON, number=n) for n, amount in enumerate(amounts)
    )
    assert fields(tally, day_table(DAY)) == {"12:captured": int(100 * sum(amounts))}


FOLDED_BY_LAYOUT = {2: "07df2c4b0b9faaaa"}


@pytest.mark.proves("P13")
def test_a_changed_fold_needs_a_new_layout() -> None:
    """Or running projections go on with numbers of the old fold: raise LAYOUT, write down the digest."""
    tally = total(contribution(of) for of in by_order(evening(1, 60, now=NOON)).values())
    picture = sorted([*place, count] for place, count in picture_of(tally, DAY).items())
    digest = hashlib.sha256(json.dumps(picture).encode()).hexdigest()[:16]
    assert {LAYOUT: digest} == FOLDED_BY_LAYOUT
