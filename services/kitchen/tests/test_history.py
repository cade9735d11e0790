"""What happened to the tickets of an order, told to other services."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from kitchen_service.domain.history import Happening, what_happened
from kitchen_service.domain.ticket import MAX_FAILURES, Pizza, Priority, Size, Ticket

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Json, item

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEASE = timedelta(seconds=10)


def queued() -> Ticket:
    pizza = Pizza(pizza_id="margherita", size=Size.MEDIUM)
    return Ticket(
        id="t",
        order_id="o",
        pizza=pizza,
        priority=Priority.STANDARD,
        ingredients={},
        created_at=NOW,
        due_at=NOW,
    )


def started(ticket: Ticket, token: int = 1) -> Ticket:
    return ticket.start(
        station_id=f"oven-{token}", token=token, claim_id="c", lease_until=NOW + LEASE, now=NOW
    )


def told(before: Ticket, after: Ticket, at: datetime = NOW) -> list[tuple[Happening, datetime, int]]:
    return [(line.what, line.time, line.attempt) for line in what_happened(before, after, at)]


@pytest.mark.proves("P6")
def test_each_change_of_a_ticket_has_its_lines() -> None:
    held = started(queued())
    late = NOW + 3 * LEASE
    assert told(queued(), held) == [(Happening.CLAIMED, NOW, 1)]
    assert told(held, held.extend(1, NOW + 2 * LEASE, NOW)) == [(Happening.EXTENDED, NOW, 1)]
    assert told(held, held.complete(1, NOW)) == [(Happening.COMPLETED, NOW, 1)]
    assert told(held, held.fail(1, "burnt", NOW)) == [(Happening.FAILED, NOW, 1)]
    assert told(queued(), queued().cancel(NOW)) == [(Happening.CANCELLED, NOW, 1)]
    # A lease that ran out is told with the time at which it did.
    assert told(held, started(held, 2), late) == [
        (Happening.EXPIRED, NOW + LEASE, 1),
        (Happening.TAKEN_OVER, late, 1),
    ]
    assert told(held, held.abandon(late), late) == [
        (Happening.EXPIRED, NOW + LEASE, 1),
        (Happening.ABANDONED, late, 1),
    ]
    last = replace(held, failures=MAX_FAILURES - 1)
    assert told(last, last.fail(1, "burnt", NOW)) == [(Happening.GIVEN_UP, NOW, MAX_FAILURES)]
    assert told(held, held.fail(1, "burnt", NOW).cancel(NOW)) == [
        (Happening.FAILED, NOW, 1),
        (Happening.CANCELLED, NOW, 2),
    ]


@pytest.mark.proves("P6")
async def test_claims_leases_and_attempts_are_written_down(make_kitchens: Make, database_url: str) -> None:
    kitchens = await make_kitchens(database_url=database_url, settings={"lease_seconds": 3})
    hands = Hands(await kitchens.open())
    order_id = await kitchens.order(item())
    dead = await hands.take("oven-1")
    assert (await hands.extend(dead)).status_code == 200
    failed = await hands.take("oven-2")  # the lease of oven-1 has run out
    assert (await hands.fail(failed, "burnt")).status_code == 200
    done = await hands.take("oven-3")
    assert (await hands.complete(done)).status_code == 200

    service = kitchens.client(str(hands.client.base_url), "service")
    page: Json = (await service.get(f"/orders/{order_id}/history")).json()
    lines = page["items"]
    assert [(line["what"], line["station_id"], line["attempt"]) for line in lines] == [
        ("claimed", "oven-1", 1),
        ("lease_extended", "oven-1", 1),
        ("lease_expired", "oven-1", 1),
        ("taken_over", "oven-2", 1),
        ("failed", "oven-2", 1),
        ("claimed", "oven-3", 2),
        ("completed", "oven-3", 2),
    ]
    assert lines[4]["failure"] == "burnt"
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert all(line["trace_id"] for line in lines)
    first: Json = (await service.get(f"/orders/{order_id}/history?limit=3")).json()
    rest: Json = (await service.get(f"/orders/{order_id}/history?after={first['next']}")).json()
    assert first["items"] + rest["items"] == lines


async def test_the_pace_is_measured(make_kitchens: Make) -> None:
    kitchens = await make_kitchens()
    hands = Hands(await kitchens.open())
    service = kitchens.client(str(hands.client.base_url), "service")
    assert (await service.get("/pace")).json() == {"places": 8, "cooking_seconds": 480.0}
    await kitchens.order(item())
    await hands.complete(await hands.take())
    assert 0 < (await service.get("/pace")).json()["cooking_seconds"] < 60
    cook = kitchens.client(str(hands.client.base_url), "cook")
    assert (await cook.get("/pace")).status_code == 403
