"""What one order adds to the projections: a pure function of its set of events.

The projections are the sum of that over all orders. So the order in which events are archived cannot matter
(none is promised across streams), a rebuild and any past step come to the same sum, and a late event changes
exactly what it should: what the order contributed before it is taken away, what it contributes with it added.

Change anything here that changes a number, and raise `LAYOUT`: then the projections are folded anew.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pizzeria_contracts.events import (
    DeliveryCompleted,
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderReady,
    Payload,
    PaymentCaptured,
    PaymentRefunded,
    TicketAccepted,
    TicketCompletedV2,
    TicketStarted,
)
from rediscore.streams import CloudEvent

from analytics_service.histogram import bucket_of
from analytics_service.story import Story, Told, read_story
from analytics_service.tally import (
    TOTALS,
    Board,
    Cell,
    Tally,
    board_tables,
    customer_table,
    day_table,
    less,
    timings_table,
)

LAYOUT: Final = 2
"""Of the projections' keys and of what is in them."""

_Counted = Iterator[tuple[Cell, int]]
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def contribution(events: Iterable[CloudEvent[dict[str, Any]]]) -> Tally:
    """What the order of these events adds."""
    return _contribution(read_story(events))


def change(before: Iterable[CloudEvent[dict[str, Any]]], news: Iterable[CloudEvent[dict[str, Any]]]) -> Tally:
    """What changes when `news` of an order join what was known of it `before`."""
    known = list(before)
    return less(contribution([*known, *news]), contribution(known))


def _contribution(story: Story) -> Tally:
    tally = Tally()
    for count in (_hours, _reasons, _pizzas, _timings, _stations, _customers):
        for cell, amount in count(story):
            tally[cell] += amount
    if story.unreadable:
        tally[Cell(TOTALS, "unreadable")] = story.unreadable
    return tally


def _hours(story: Story) -> _Counted:
    once: tuple[tuple[str, type[Payload]], ...] = (
        ("placed", OrderPlaced), ("cancelled", OrderCancelled), ("delivered", DeliveryCompleted),
    )  # fmt: skip
    for what, kind in once:
        if told := story.first(kind):
            yield _hour(told.at, what), 1
    for captured in story.all(PaymentCaptured):
        yield _hour(captured.at, "captured"), _cents(captured.what.amount)
    for refunded in story.all(PaymentRefunded):
        yield _hour(refunded.at, "refunded"), _cents(refunded.what.amount)


def _reasons(story: Story) -> _Counted:
    if told := story.first(OrderCancelled):
        # Reasons are slugs of a few; anything else must not become a field of its own.
        reason = told.what.reason if _SLUG.fullmatch(told.what.reason) else "other"
        yield Cell(day_table(told.at.date()), f"reason:{reason}"), 1


def _pizzas(story: Story) -> _Counted:
    if told := story.first(OrderConfirmed):
        for item in told.what.items:
            yield from _boards("pizzas", told.at, item.pizza_id, item.quantity)


def _timings(story: Story) -> _Counted:
    content = story.content
    if content is None:
        return  # counted when it is known whose they are
    pizzas = {item.pizza_id for item in content.items}

    def lasted(timing: str, start: datetime, end: datetime) -> tuple[Cell, int]:
        return took(timing, end, round((end - start).total_seconds() * 1000))

    def took(timing: str, end: datetime, milliseconds: int) -> tuple[Cell, int]:
        field = f"{timing}:{end.hour:02}:{content.priority}:{bucket_of(milliseconds)}"
        return Cell(timings_table(end.date()), field), 1

    for completed in _per_ticket(story, TicketCompletedV2):
        milliseconds = completed.what.milliseconds
        yield took("preparation", completed.at, milliseconds)
        if len(pizzas) == 1:  # else nobody says which of them it was
            field = f"pizza:{next(iter(pizzas))}:{bucket_of(milliseconds)}"
            yield Cell(timings_table(completed.at.date()), field), 1
    accepted, ready = story.first(TicketAccepted), story.first(OrderReady)
    placed, delivered = story.first(OrderPlaced), story.first(DeliveryCompleted)
    if accepted and not story.scheduled:
        for started in _per_ticket(story, TicketStarted):
            yield lasted("waiting", accepted.at, started.at)
    if ready and delivered:
        yield lasted("ready-to-delivered", ready.at, delivered.at)
    if placed and delivered and not story.scheduled:
        yield lasted("order-to-delivered", placed.at, delivered.at)


def _stations(story: Story) -> _Counted:
    for completed in _per_ticket(story, TicketCompletedV2):
        station = completed.what.station_id
        yield from _boards("stations-completed", completed.at, station, 1)
        yield from _boards("stations-milliseconds", completed.at, station, completed.what.milliseconds)


def _customers(story: Story) -> _Counted:
    """By the time when an order was confirmed; one that was cancelled later never was one."""
    confirmed = story.first(OrderConfirmed)
    if confirmed is None or story.first(OrderCancelled):
        return
    customer = confirmed.what.customer_id
    cents = sum(_cents(told.what.amount) for told in story.all(PaymentCaptured))
    cents -= sum(_cents(told.what.amount) for told in story.all(PaymentRefunded))
    yield from _boards("customers-orders", confirmed.at, customer, 1)
    yield from _boards("customers-money", confirmed.at, customer, cents)
    table, day = customer_table(customer), confirmed.at.date().isoformat()
    yield Cell(table, f"{day}:orders"), 1
    yield Cell(table, f"{day}:cents"), cents
    for item in confirmed.what.items:
        yield Cell(table, f"{day}:pizza:{item.pizza_id}"), item.quantity


def _per_ticket(story: Story, kind: type[TicketStarted] | type[TicketCompletedV2]) -> Iterator[Told[Any]]:
    """The first of each ticket: a station that dies leaves its start behind, and another starts anew."""
    seen: set[str] = set()
    for told in story.all(kind):
        if told.what.ticket_id not in seen:
            seen.add(told.what.ticket_id)
            yield told


def _boards(board: Board, at: datetime, member: str, amount: int) -> _Counted:
    for table in board_tables(board, at):
        yield Cell(table, member), amount


def _hour(at: datetime, what: str) -> Cell:
    return Cell(day_table(at.date()), f"{at.hour:02}:{what}")


def _cents(amount: Decimal) -> int:
    return int(amount * 100)
