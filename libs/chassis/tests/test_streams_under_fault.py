"""Streams that lose their end, or everything, while events keep coming; the feed while writers commit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.testing import TOKENS, caller, serving
from pizzeria_chassis.testing.events import (
    STARTED,
    MakeReplica,
    Replica,
    Upstream,
    at_head,
    cut_out,
    handle_all,
    in_sequence,
)
from pizzeria_chassis.testing.relays import at_work, positions, tell, up_to
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.testing import eventually
from starlette.types import Message, Receive, Scope, Send

SUBJECTS = 4


@asynccontextmanager
async def events_keep_coming(
    upstream: Upstream, *, at_least: int, every: float = 0.005
) -> AsyncIterator[None]:
    """Tell of one subject after the other until the block ends and ``at_least`` were told."""
    over = asyncio.Event()

    async def tell_all() -> None:
        number = 0
        while number < at_least or not over.is_set():
            await upstream.tell(STARTED, f"o-{number % SUBJECTS}")
            number += 1
            await asyncio.sleep(every)

    telling = asyncio.create_task(tell_all())
    try:
        yield
    finally:
        over.set()
        await telling


async def ends_with(upstream: Upstream, position: int) -> bool:
    last = await upstream.connections.commands.xrevrange(KITCHEN, count=1)
    return bool(last) and (await positions(upstream.connections))[-1] == position


async def reached(upstream: Upstream, position: int) -> bool:
    found = await positions(upstream.connections)
    return bool(found) and (found[-1] or 0) >= position


async def all_once(replica: Replica, upstream: Upstream) -> None:
    """Wait for rest: each event had its effect once and in order, and the stream's end is right."""
    await at_head(replica, upstream)
    head, effects = await upstream.head(), await replica.effects()
    assert sorted(position for _, _, position in effects) == up_to(head)
    assert in_sequence(effects)
    assert await replica.dead() == 0
    await eventually(lambda: ends_with(upstream, head), within=40, what="the stream's end is right")


@pytest.mark.proves("I5", "I7", "I9")
@pytest.mark.parametrize("lost", ["the newest", "everything"])
async def test_a_stream_loses_its_end_while_events_keep_coming(
    lost: str, replica: MakeReplica, upstream: Upstream
) -> None:
    consumer = await replica()
    handle_all(consumer)
    await consumer.start()
    redis = upstream.connections.commands
    async with events_keep_coming(upstream, at_least=40):
        for held in (10, 20):
            await eventually(partial(reached, upstream, held), within=40)
            if lost == "everything":
                await redis.flushdb()
            else:
                newest: Any = await redis.xrevrange(KITCHEN, count=8)
                assert await redis.xdel(KITCHEN, *(entry_id for entry_id, _ in newest)) > 0
    await all_once(consumer, upstream)


@pytest.mark.proves("I5", "I7", "I9")
@pytest.mark.parametrize("batch", [1, 2], ids=["a batch in the middle", "the last batch"])
async def test_redis_is_wiped_between_adding_a_batch_and_noting_it(
    batch: int, replica: MakeReplica, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog of three batches: what was just added is gone before the relay notes it as sent."""
    monkeypatch.setattr("pizzeria_chassis.outbox.BATCH", 20)
    consumer = await replica()
    handle_all(consumer)
    await upstream.relay.stop()
    for number in range(3 * 20 - 1):
        await upstream.tell(STARTED, f"o-{number % SUBJECTS}")
    marked = 0
    original = upstream.relay._mark_sent

    async def wiped_first(last: Any) -> None:
        nonlocal marked
        if marked == batch:
            await upstream.connections.commands.flushdb()
            assert await positions(upstream.connections) == [], "the fault happened"
        marked += 1
        await original(last)

    monkeypatch.setattr(upstream.relay, "_mark_sent", wiped_first)
    await upstream.relay.start()
    await eventually(lambda: marked == 3, within=40)
    await consumer.start()
    await all_once(consumer, upstream)


@pytest.mark.proves("I5", "I6")
async def test_pages_of_the_feed_have_no_gap_and_no_repeat_while_writers_commit(
    database: Database, own_connections: RedisConnections
) -> None:
    upstream = Upstream(database, own_connections)
    writing = True

    async def write(writer: int) -> None:
        for number in range(12):
            await tell(database, f"o-{writer}", *[f"o-{writer}-{number}"] * (number % 3))

    async def read() -> Sequence[int]:
        """Follow the feed as its contract says, until it ended after the last commit."""
        seen: list[int] = []
        async with caller(upstream.app, "service") as client:
            while True:
                last_look = not writing and await upstream.head() == len(seen)
                page = (await client.get("/events", params={"after": len(seen), "limit": 7})).json()
                places = [event["position"] for event in page["items"]]
                assert page["next"] == (places[-1] if len(places) == 7 else None)
                seen += places
                assert seen == up_to(len(seen))
                if last_look:
                    return seen
                if not places:
                    await asyncio.sleep(0.01)

    async with at_work(upstream.relay):
        readers = [asyncio.create_task(read()) for _ in range(2)]
        await asyncio.gather(*(write(writer) for writer in range(4)))
        writing = False
        async with asyncio.timeout(30):
            assert [len(await reader) for reader in readers] == [4 * (12 + 12)] * 2


class DiesInMidPage:
    """An upstream whose connections end in the middle of a page of its feed, for as long as it is told to."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Any]) -> None:
        self._app = app
        self.dying = True
        self.cut = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def half(message: Message) -> None:
            # The server closes a connection on which the promised length never comes.
            if message["type"] == "http.response.start":
                await send(message)
            elif body := message.get("body"):
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                self.cut += 1

        dies = self.dying and scope["type"] == "http" and scope["path"] == "/events"
        await self._app(scope, receive, half if dies else send)


@pytest.mark.proves("I5", "I7", "I9")
async def test_the_upstream_dies_in_the_middle_of_a_page_while_events_keep_coming(
    replica: MakeReplica, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a page is no page: nothing of it is applied, and nobody's event is dead for want of the rest."""
    monkeypatch.setattr("pizzeria_chassis.consumer.FEED_RETRY_SECONDS", 0.05)
    kitchen = DiesInMidPage(upstream.app)
    consumer = await replica()
    async with serving(kitchen) as url:
        consumer.consumer.feed = FeedClient(url, SecretStr(TOKENS["service"]))
        handle_all(consumer)
        for number in range(12):
            await upstream.tell(STARTED, f"o-{number % SUBJECTS}")
        await cut_out(upstream, of=12, lost=[1, 2, 3, 4, 5])
        await consumer.start()
        async with events_keep_coming(upstream, at_least=10, every=0.05):
            await eventually(lambda: kitchen.cut > 6, within=30, what="cut more often than three attempts")
        kitchen.dying = False
        await all_once(consumer, upstream)
