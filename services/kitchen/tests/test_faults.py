"""What happens when Redis or the kitchen itself goes away."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest
from kitchen_service.adapters.dispatch import queue_name
from kitchen_service.adapters.tables import tickets
from kitchen_service.domain.station import Skill
from kitchen_service.domain.ticket import HEAD_START
from pizzeria_chassis.database import Database
from pizzeria_chassis.ids import new_id
from rediscore.embedded import free_port
from rediscore.keys import KeySpace
from rediscore.queue import PriorityQueue
from rediscore.testing import FaultProxy, eventually
from rediscore.testing.server import ServerUnderTest
from sqlalchemy import func, select

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Kitchens, Served, item

HERE = Path(__file__).parent


def queue_of(kitchens: Kitchens) -> PriorityQueue:
    head_start = {priority.value: start for priority, start in HEAD_START.items()}
    return PriorityQueue(
        kitchens.connections, queue_name(Skill.OVEN), keys=KeySpace("kitchen"), head_start=head_start
    )


async def ready(client: httpx.AsyncClient) -> int:
    return (await client.get("/health/ready")).status_code


@pytest.mark.proves("P8")
@pytest.mark.parametrize(("fault", "lease"), [("cut", 8), ("pause", 15)])
async def test_without_redis_nothing_is_claimed_and_what_is_cooking_is_finished(
    fault_proxy: FaultProxy, make_kitchens: Make, own_redis: str, fault: str, lease: int
) -> None:
    kitchens: Kitchens = await make_kitchens(
        settings={"redis_url": fault_proxy.url(own_redis), "lease_seconds": lease}
    )
    hands = Hands(await kitchens.open())
    order_id = await kitchens.order(item(quantity=3))
    cooked, spoilt = await hands.take(), await hands.take()
    getattr(fault_proxy, fault)()

    assert (await hands.extend(cooked)).status_code == 200
    assert (await hands.complete(cooked)).status_code == 200
    assert (await hands.fail(spoilt)).status_code == 200
    assert len((await hands.client.get("/queue")).json()["items"]) == 2
    await hands.check_stock()
    refused = await hands.claim("oven-2", wait=0)
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/unavailable")
    assert int(refused.headers["Retry-After"]) >= 1

    async def not_ready() -> bool:
        return await ready(hands.client) == 503

    await eventually(not_ready, within=40)

    async def spared() -> bool:
        shown = (await hands.client.get("/metrics")).text
        return 'rediscore_breaker_events_total{event="rejected",name="redis"}' in shown

    await eventually(spared, within=40, what="the breaker answers in place of Redis")

    fault_proxy.resume()
    fault_proxy.restore()
    while "kitchen.order_ready" not in await kitchens.told(order_id):
        ticket = await hands.claim("oven-3", wait=1)
        if ticket.status_code == 200:
            await hands.complete(ticket.json())
        await asyncio.sleep(0.05)
    assert await ready(hands.client) == 200
    assert (await kitchens.told(order_id)).count("kitchen.ticket_completed") == 3


@pytest.mark.proves("I3", "P8")
async def test_after_a_wipe_the_queue_is_rebuilt_and_tokens_go_on_growing(
    disposable_server: ServerUnderTest, make_kitchens: Make
) -> None:
    kitchens: Kitchens = await make_kitchens(redis_url=disposable_server.url, settings={"lease_seconds": 8})
    hands = Hands(await kitchens.open())
    order_id = await kitchens.order(item(quantity=4))
    dead, held = await hands.take("oven-2"), await hands.take("oven-1")
    assert (await queue_of(kitchens).stats()).ready == 2

    await asyncio.to_thread(disposable_server.wipe)

    async def hold() -> None:
        while True:
            assert (await hands.extend(held)).status_code == 200
            await asyncio.sleep(1)

    holding = asyncio.create_task(hold())
    seen = [dead]
    for _ in range(3):
        ticket = await hands.take("oven-3", wait=30)
        assert ticket["fencing_token"] > max(t["fencing_token"] for t in [held, *seen])
        assert (await hands.complete(ticket)).status_code == 200
        seen.append(ticket)
    assert not holding.done()
    holding.cancel()
    assert [t["ticket_id"] for t in seen[1:]].count(dead["ticket_id"]) == 1
    assert (await hands.complete(dead)).status_code == 409
    assert (await hands.complete(held)).status_code == 200
    await kitchens.hears(order_id, "kitchen.order_ready")
    assert (await kitchens.told(order_id)).count("kitchen.ticket_completed") == 4
    assert (await hands.check_stock())["dough"]["consumed"] == 8


@pytest.mark.proves("I3")
async def test_a_token_older_than_the_newest_starts_nothing(
    disposable_server: ServerUnderTest, make_kitchens: Make
) -> None:
    kitchens: Kitchens = await make_kitchens(redis_url=disposable_server.url, settings={"lease_seconds": 1})
    hands = Hands(await kitchens.open())
    # The server's clock went back, and Redis forgot which token was the last: as SQL sees it.
    order_id = await kitchens.order()
    ticket = await hands.take()
    database = Database(kitchens.database_url, source="/test")
    ahead = ticket["fencing_token"] + 3_000_000
    async with database.engines.writer.begin() as connection:
        await connection.execute(tickets.update().values(fencing_token=ahead))
    await database.aclose()
    taken = await hands.take("oven-2", wait=20)
    assert taken["ticket_id"] == ticket["ticket_id"]
    assert taken["fencing_token"] > ahead
    await hands.complete(taken)
    await kitchens.hears(order_id, "kitchen.order_ready")


@pytest.mark.proves("P8")
async def test_killed_between_commit_and_queue_the_tickets_are_found_by_the_sweep(kitchens: Kitchens) -> None:
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "killed_kitchen.py"),
        env={**os.environ, **kitchens.environment(), "PORT": "0"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        order_id = await kitchens.order(item(quantity=3))
        async with asyncio.timeout(30):
            assert await killed.wait() == -signal.SIGKILL
    finally:
        if killed.returncode is None:
            killed.kill()
            await killed.wait()

    # The fault has happened: committed in SQL, unknown to Redis.
    database = Database(kitchens.database_url, source="/test")
    async with database.read() as connection:
        query = select(func.count()).select_from(tickets).where(tickets.c.order_id == order_id)
        assert (await connection.execute(query)).scalar_one() == 3
    await database.aclose()
    stats = await queue_of(kitchens).stats()
    assert (stats.ready, stats.delayed, stats.leased) == (0, 0, 0)

    hands = Hands(await kitchens.open())
    for _ in range(3):
        assert (await hands.complete(await hands.take(wait=15))).status_code == 200
    await kitchens.hears(order_id, "kitchen.order_ready")
    told = await kitchens.told(order_id)
    assert (told.count("kitchen.ticket_accepted"), told.count("kitchen.ticket_completed")) == (1, 3)
    assert (await hands.check_stock())["dough"]["consumed"] == 6


@pytest.mark.proves("P8")
async def test_a_kitchen_killed_in_mid_cooking_loses_nothing(make_kitchens: Make) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"lease_seconds": 6})
    port = free_port()
    process = await _start(kitchens, port)
    survivor = Hands(await kitchens.open())
    try:
        hands = Hands(kitchens.client(f"http://127.0.0.1:{port}"))
        await eventually(lambda: _answers(hands.client), within=40)
        order_id = await kitchens.order(item(quantity=3))
        mine, _ = await hands.take("oven-1"), await hands.take("oven-2")
    finally:
        process.kill()
        await process.wait()
    # The cook is alive, only its kitchen died: another replica takes the completion.
    assert (await survivor.complete(mine)).status_code == 200
    for _ in range(2):
        assert (await survivor.complete(await survivor.take("oven-3", wait=15))).status_code == 200
    await kitchens.hears(order_id, "kitchen.order_ready", within=40)
    assert (await kitchens.told(order_id)).count("kitchen.ticket_completed") == 3


async def test_as_a_process_it_runs_alone_and_ends_with_0(kitchens: Kitchens) -> None:
    port = free_port()
    process = await _start(kitchens, port)
    try:
        client = kitchens.client(f"http://127.0.0.1:{port}")
        await eventually(lambda: _answers(client), within=40)
        waiting = asyncio.create_task(Hands(client).claim(wait=30))
        await asyncio.wait({waiting}, timeout=0.3)
        process.terminate()
        async with asyncio.timeout(10):
            assert (await waiting).status_code == 204
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_starts_serves_what_it_can_and_ends_while_redis_is_away(make_kitchens: Make) -> None:
    kitchens: Kitchens = await make_kitchens(settings={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    port = free_port()
    process = await _start(kitchens, port)
    try:
        hands = Hands(kitchens.client(f"http://127.0.0.1:{port}"))
        await eventually(lambda: _answers(hands.client, 503), within=40)
        assert (await hands.client.get("/health/live")).status_code == 200
        await hands.check_stock()
        assert (await hands.claim(wait=0)).status_code == 503
        process.terminate()
        async with asyncio.timeout(12):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.proves("I8", "P8")
async def test_two_replicas_share_the_work_and_one_may_leave(kitchens: Kitchens) -> None:
    first, second = Hands(await kitchens.open()), Hands(await kitchens.open())
    order_id = await kitchens.order(item(quantity=6))
    held = [await hands.take(station) for hands in (first, second) for station in ("oven-1", "oven-2")]
    assert len({ticket["ticket_id"] for ticket in held}) == 4
    assert (await first.claim("oven-1")).status_code == 409
    leaving: Served = kitchens.kitchens.pop(0)
    await leaving.stop()
    for ticket in held:
        assert (await second.complete(ticket)).status_code == 200
    for _ in range(2):
        assert (await second.complete(await second.take())).status_code == 200
    await kitchens.hears(order_id, "kitchen.order_ready", within=40)
    more = await kitchens.order(order_id=new_id())
    await kitchens.hears(more, "kitchen.ticket_accepted", within=40)


async def _start(kitchens: Kitchens, port: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kitchen_service",
        env={**os.environ, **kitchens.environment(), "PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
    )


async def _answers(client: httpx.AsyncClient, status: int = 200) -> bool:
    try:
        return await ready(client) == status
    except httpx.TransportError:
        return False
