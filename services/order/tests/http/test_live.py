"""The live view of an order: follows, resumes, ends, and costs little."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pizzeria_contracts.channels import live_order
from pizzeria_contracts.events import DeliveryCompleted, DeliveryStarted, OrderReady, TicketStarted
from rediscore.testing import FaultProxy, eventually

from services.order.tests.harness import Guest, House

STARTED = TicketStarted(ticket_id="t", station_id="s")
HANDED_OVER = DeliveryCompleted(driver_id="d")


@dataclass
class Event:
    name: str = "message"
    id: str = ""
    order: Any = None


@asynccontextmanager
async def live(guest: Guest, order_id: str, seen: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
    """The events that the live view sends, one by one; comments come as events without a name."""
    headers = guest.headers | ({"Last-Event-ID": seen} if seen is not None else {})
    async with guest.http.stream("GET", f"/orders/{order_id}/live", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.aiter_lines())


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    event = Event()
    async for line in lines:
        field, _, text = line.partition(": ")
        if line.startswith(":"):
            event.name = ""
        elif field == "event":
            event.name = text
        elif field == "id":
            event.id = text
        elif field == "data":
            event.order = json.loads(text)
        elif not line:
            if event != Event():
                yield event
            event = Event()


@pytest.fixture
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look with a heartbeat comes in time: what is seen was hinted at."""
    monkeypatch.setattr("order_service.entrypoints.live.HEARTBEAT_SECONDS", 60)


async def until(events: AsyncIterator[Event], status: str, within: float = 40) -> Event:
    async with asyncio.timeout(within):
        async for event in events:
            if event.name == "order" and event.order["status"] == status:
                return event
    raise AssertionError(f"The stream ended before {status}.")


@pytest.mark.proves("P6")
async def test_the_live_view_follows_an_order_to_its_end(
    house: House, guest: Guest, only_hints: None
) -> None:
    order_id = await guest.placed()
    async with live(guest, order_id) as events:
        ids = [(await until(events, "confirmed")).id]
        for news, status in (
            (STARTED, "cooking"),
            (OrderReady(), "ready"),
            (DeliveryStarted(driver_id="d"), "delivering"),
            (HANDED_OVER, "delivered"),
        ):
            await house.kitchen.tell(order_id, news)
            ids.append((await until(events, status)).id)
        assert ids == sorted(set(ids), key=int)
        assert [event async for event in events] == []  # the stream ends with the order


@pytest.mark.proves("P6")
async def test_who_comes_back_gets_what_is_newer_and_nothing_twice(house: House, guest: Guest) -> None:
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    async with live(guest, order_id) as events:
        seen = await until(events, "confirmed")
    # Nothing has changed meanwhile: a sign of life, no order.
    async with live(guest, order_id, seen.id) as events:
        assert (await anext(events)).name == ""
    # Something has: it comes at once, also from another replica.
    await house.kitchen.tell(order_id, STARTED)
    await guest.until_status(order_id, "cooking")
    other = Guest.of(await house.open(), guest)
    async with live(other, order_id, seen.id) as events:
        first = await anext(events)
        assert (first.name, first.order["status"]) == ("order", "cooking")
        assert int(first.id) > int(seen.id)
    # What is no id of ours is as good as none.
    async with live(guest, order_id, "yesterday") as events:
        assert (await anext(events)).id == first.id


@pytest.mark.proves("P6")
async def test_who_comes_back_after_the_end_is_told_that_it_ended(house: House, guest: Guest) -> None:
    order_id = await guest.placed("tok_declined")
    order = await guest.until_status(order_id, "cancelled")
    async with live(guest, order_id) as events:
        assert [event.name async for event in events] == ["order"]
    async with live(guest, order_id, str(order["version"])) as events:
        assert [event.name async for event in events] == ["end"]


@pytest.mark.proves("P6")
async def test_a_change_of_this_process_needs_no_redis_to_be_seen(
    house: House, fault_proxy: FaultProxy, only_hints: None
) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open(payment_timeout_seconds=1))
    await guest.http.get("/menu")
    fault_proxy.cut()
    order_id = await guest.placed("tok_timeout")
    async with live(guest, order_id) as events:
        await until(events, "confirmed")


@pytest.mark.proves("P6")
async def test_a_change_of_another_replica_is_seen_without_redis_by_the_next_look(
    house: House, fault_proxy: FaultProxy
) -> None:
    house.redis = house.redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    guest = await house.guest(await house.open(saga_lease_seconds=60, saga_poll_seconds=60))
    other = Guest.of(await house.open(), guest)
    await other.http.get("/menu")
    fault_proxy.cut()
    order_id = await other.placed("tok_timeout")
    async with live(guest, order_id) as events:
        await until(events, "confirmed", within=30)


@pytest.mark.proves("P6")
async def test_many_followers_share_one_connection(house: House, guest: Guest) -> None:
    ids = [await guest.placed() for _ in range(10)]
    for order_id in ids:
        await guest.until_status(order_id, "confirmed")
    redis = house.kitchen.connections.commands

    async def subscribers() -> list[int]:
        found: Any = await redis.pubsub_numsub(*map(live_order, ids))
        return [count for _, count in found]

    async def listening() -> bool:
        return await subscribers() == [1] * 10

    async with AsyncExitStack() as stack:
        followers = [
            await stack.enter_async_context(live(guest, order_id)) for order_id in ids for _ in range(4)
        ]
        for follower in followers:
            await until(follower, "confirmed")
        # Forty followers, ten channels, one subscription each, all on one connection.
        await eventually(listening)
        clients: Any = await redis.client_list(_type="pubsub")
        mine = [
            client for client in clients if client["db"] == str(house.redis.db) and int(client["sub"]) >= 10
        ]
        assert len(mine) == 1
        for order_id in ids:
            await house.kitchen.tell(order_id, STARTED)
        for follower in followers:
            await until(follower, "cooking")

    async def nobody() -> bool:
        return await subscribers() == [0] * 10

    await eventually(nobody)
