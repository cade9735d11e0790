"""The checker of the invariants sees what is wrong: one doctored snapshot for each way to break one."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.harness_invariants import broken, may_follow
from tests.e2e.harness_snapshot import DeadLetter, Diary, Grant, Group, Json, Snapshot

ITEMS = [{"pizza_id": "margherita", "size": "medium", "toppings": [], "quantity": 1, "unit_price": "12.99"}]
TOTAL = {"amount": "12.99", "currency": "EUR"}
NOTHING = {"amount": "0.00", "currency": "EUR"}


def feed(*events: tuple[str, str, Json]) -> list[Json]:
    """Events of (subject, kind, data) with gapless positions and sequences."""
    made: list[Json] = []
    for subject, kind, data in events:
        sequence = 1 + sum(event["subject"] == subject for event in made)
        made.append(
            {
                "id": f"{subject}-{sequence}",
                "type": f"pizzeria.{kind}.v1",
                "subject": subject,
                "sequence": sequence,
                "position": len(made) + 1,
                "data": data,
            }
        )
    return made


def orders_feed() -> list[Json]:
    return feed(
        ("a", "order.placed", {"items": ITEMS}),
        ("a", "payment.captured", {"amount": "12.99"}),
        ("a", "order.confirmed", {"items": ITEMS}),
        ("b", "order.placed", {"items": ITEMS}),
        ("b", "payment.declined", {"amount": "12.99"}),
        ("b", "order.cancelled", {"refunded": "0.00"}),
    )


def kitchen_feed() -> list[Json]:
    ticket = {"ticket_id": "t", "station_id": "oven-1"}
    return feed(
        ("a", "kitchen.ticket_accepted", {"tickets": ["t"]}),
        ("a", "kitchen.ticket_started", ticket),
        ("a", "kitchen.ticket_completed", ticket),
        ("a", "kitchen.order_ready", {}),
        ("a", "delivery.started", {}),
        ("a", "delivery.completed", {}),
    )


@pytest.fixture
def seen() -> Snapshot:
    """One order delivered, one declined, all at rest."""
    diary = Diary(
        accepted=["a", "b"],
        seen={"a": ["pending", "cooking", "delivered"], "b": ["pending", "cancelled"]},
        grants=[Grant("oven-1", "t", "a", 5), Grant("oven-2", "t", "a", 6)],
        finished=[("t", 6)],
        capacity={"oven-1": 1},
    )
    inbox = {stream: {"position": 6, "dead": 0} for stream in ("orders.events", "kitchen.events")}
    inbox["menu.events"] = {"position": 0, "dead": 0}
    quiet = {"outbox": {"head": 6, "sent": 6}, "inbox": inbox}
    delivered = {"status": "captured", "captured": TOTAL, "refunded": NOTHING}
    declined = {"status": "declined", "captured": NOTHING, "refunded": NOTHING}
    return Snapshot(
        diary=diary,
        orders={
            "a": {"status": "delivered", "total": TOTAL, "payment": delivered},
            "b": {"status": "cancelled", "total": TOTAL, "payment": declined},
        },
        feeds={"orders.events": orders_feed(), "kitchen.events": kitchen_feed(), "menu.events": []},
        positions={name: copy.deepcopy(quiet) for name in ("order", "kitchen", "menu", "analytics")},
        inventory=[
            {"ingredient": "dough", "initial": 9, "restocked": 1, "in_stock": 8, "reserved": 0, "consumed": 2}
        ],
        groups=[Group("orders.events", "kitchen", 0, 0), Group("orders.events", "analytics", 0, None)],
        dead=[],
        archive_head=12,
        checkpoint=12,
        popular={"margherita": 1},
    )


def test_a_quiet_house_breaks_nothing(seen: Snapshot) -> None:
    assert broken(seen) == []


def ended_twice(seen: Any) -> None:
    seen.feeds["orders.events"] = [
        *orders_feed(),
        {**orders_feed()[5], "id": "x", "subject": "a", "sequence": 4, "position": 7},
    ]


def captured_twice(seen: Any) -> None:
    seen.feeds["orders.events"].insert(2, seen.feeds["orders.events"][1])


def old_token_finished(seen: Any) -> None:
    seen.diary.finished = [("t", 5)]


def tokens_fell(seen: Any) -> None:
    seen.diary.grants.append(Grant("oven-1", "t", "a", 4))


def completed_twice(seen: Any) -> None:
    seen.feeds["kitchen.events"].append({**kitchen_feed()[2], "id": "x", "sequence": 7, "position": 7})


def station_overfull(seen: Any) -> None:
    now = datetime.now(UTC)
    for ticket in ("u", "v"):
        seen.diary.granted(Grant("oven-1", ticket, "a", 9), now + timedelta(seconds=1), now)


@pytest.mark.parametrize(
    ("invariant", "doctor"),
    [
        ("I1", lambda seen: seen.orders["a"].update(status="ready")),
        ("I1", ended_twice),
        ("I2", captured_twice),
        ("I2", lambda seen: seen.orders["b"]["payment"].update(captured=TOTAL)),
        ("I2", lambda seen: seen.orders["a"].update(status="cancelled")),
        ("I3", old_token_finished),
        ("I3", tokens_fell),
        ("I3", completed_twice),
        ("I4", lambda seen: seen.inventory[0].update(in_stock=7)),
        ("I4", lambda seen: seen.inventory[0].update(in_stock=-1, consumed=11)),
        ("I5", lambda seen: seen.positions["order"]["outbox"].update(sent=5)),
        ("I5", lambda seen: seen.positions["kitchen"]["inbox"]["orders.events"].update(position=5)),
        ("I5", lambda seen: seen.groups.append(Group("orders.events", "order", 1, 0))),
        ("I5", lambda seen: seen.diary.accepted.append("lost") or seen.orders.update(lost=seen.orders["b"])),
        ("I5", lambda seen: seen.inventory[0].update(reserved=1, in_stock=7)),
        ("I6", lambda seen: seen.popular.update(margherita=2)),
        ("I7", lambda seen: seen.feeds["orders.events"].pop(1)),
        ("I7", lambda seen: seen.feeds["kitchen.events"][1].update(type="pizzeria.kitchen.order_ready.v1")),
        ("I7", lambda seen: seen.diary.seen["a"].append("cooking")),
        ("I8", station_overfull),
        ("I9", lambda seen: seen.dead.append(DeadLetter("orders.events", "kitchen", "malformed"))),
        ("I9", lambda seen: seen.positions["menu"]["inbox"]["kitchen.events"].update(dead=1)),
    ],
)
def test_the_checker_sees_it(seen: Snapshot, invariant: str, doctor: Callable[[Any], object]) -> None:
    doctor(seen)
    assert invariant in {line.partition(":")[0] for line in broken(seen)}


def test_states_may_be_skipped_between_two_looks_but_not_go_back() -> None:
    assert may_follow("pending", "ready")
    assert may_follow("confirmed", "cancelled")
    assert not may_follow("ready", "cooking")
    assert not may_follow("delivered", "cancelled")
    assert not may_follow("ready", "cancelled")
