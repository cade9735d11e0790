"""What every stream promises, stated once and held against each kind of server in each way of reading."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from rediscore.client import RedisConnections
from rediscore.embedded import EmbeddedServer, ServerBinary, server_binaries
from rediscore.retry import Backoff
from rediscore.streams import RawEvent, Reason, Reject, ReliableStreams, RetryPolicy
from rediscore.streams.subscriber import Mode
from rediscore.testing import ContainerServer, ServerUnderTest, eventually, patient_settings
from rediscore.testing.server import engine_answers
from rediscore.testing.streams import StreamKit, assert_in_order

pytestmark = pytest.mark.proves("R18")


@dataclass(frozen=True, slots=True)
class Features:
    """What a way of reading promises; all promise what the class below states.

    Args:
        order: the events of one subject come in the order of the stream, one after another.
    """

    mode: Mode
    batch: bool
    order: bool


FEATURES = {
    "ordered": Features("ordered", batch=False, order=True),
    "ordered-batch": Features("ordered", batch=True, order=True),
    "competing": Features("competing", batch=False, order=False),
    "competing-batch": Features("competing", batch=True, order=False),
}
# When the work of a reader that is gone is free, in seconds.
SOON: dict[str, Any] = {"lease_ttl": 2.0, "min_idle": 1.0}
SERVERS = ("redis-7", "redis-8", "valkey")

Handler = Callable[[RawEvent], Awaitable[None]]


class World:
    """One stream on one server, read in one way."""

    def __init__(self, kit: StreamKit, features: Features) -> None:
        self.kit = kit
        self.features = features
        self.done: list[RawEvent] = []

    @property
    def handled(self) -> Counter[str]:
        """How often each event was handled to its end; a batch ends as a whole."""
        return Counter(event.id for event in self.done)

    async def start(
        self,
        handler: Handler | None = None,
        *,
        retry: RetryPolicy | None = None,
        prefetch: int = 100,
        **options: Any,
    ) -> ReliableStreams:
        streams = self.kit.streams(**options)
        subscriber = streams.subscriber(
            self.kit.stream,
            mode=self.features.mode,
            batch=self.features.batch,
            retry=retry or self.kit.quick,
            prefetch=prefetch,
        )

        async def one(event: RawEvent) -> None:
            if handler is not None:
                await handler(event)
            self.done.append(event)

        async def many(events: Any) -> None:
            for event in events:
                if handler is not None:
                    await handler(event)
            self.done.extend(events)

        if self.features.batch:
            subscriber.on_batch(many)
        else:
            subscriber.on_any(one)
        await streams.start()
        return streams

    async def vanish(self, streams: ReliableStreams) -> None:
        """End it as kill -9 would: nothing is acknowledged, given back or left."""
        from rediscore.streams.holding import Holding
        from rediscore.streams.ordered import OrderedReader

        async def nothing(*_: Any, **__: Any) -> None: ...

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Holding, "give_back", nothing)
            patch.setattr(OrderedReader, "_release", nothing)
            patch.setattr("rediscore.streams.acks.AckBatcher.flush", nothing)
            tasks = list(streams._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _binary(server: str) -> ServerBinary | None:
    return next((found for found in server_binaries() if found.flavour.startswith(server)), None)


def _run(server: str, directory: Any) -> Iterator[ServerUnderTest]:
    if (binary := _binary(server)) is not None:
        with EmbeddedServer(directory, binary=binary) as embedded:
            yield embedded
    elif server.startswith("redis") and engine_answers():
        container = ContainerServer(f"redis:{server[-1]}-alpine")
        try:
            container.start()
            yield container
        finally:
            container.remove()
    else:
        pytest.skip(f"{server}: no program here, and no container engine answers")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"streams-{name}")) for name in SERVERS],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerUnderTest]:
    yield from _run(request.param, tmp_path_factory.mktemp(request.param))


@pytest_asyncio.fixture(params=FEATURES)
async def world(
    request: pytest.FixtureRequest, server: ServerUnderTest, key_prefix: str
) -> AsyncIterator[World]:
    connections = RedisConnections(patient_settings(server.url))
    kit = StreamKit(connections, key_prefix)
    yield World(kit, FEATURES[request.param])
    await kit.stop()
    await connections.aclose()


class TestGuarantees:
    """The promises."""

    async def test_what_was_there_and_what_comes_is_handled_once(self, world: World) -> None:
        kit = world.kit
        await kit.publish(*(kit.event(f"e{n}", f"s{n % 7}", n=n) for n in range(60)))
        await world.start()
        await eventually(lambda: len(world.done) >= 60)
        await kit.publish(*(kit.event(f"e{n}", f"s{n % 7}", n=n) for n in range(60, 80)))
        await kit.settled()
        assert world.handled == {f"e{n}": 1 for n in range(80)}
        if world.features.order:
            assert_in_order(world.done)

    async def test_a_failure_holds_back_its_own_subject_and_ends_as_one_letter(self, world: World) -> None:
        kit = world.kit
        others = [kit.event(f"other-{n}", f"s{n}") for n in range(8)]

        async def handler(event: RawEvent) -> None:
            if event.id == "bad":
                passed = all(world.handled[other.id] for other in others)
                raise Reject("All others have passed.") if passed else ValueError("no such oven")

        retry = RetryPolicy(max_attempts=1000, backoff=Backoff(0.02, 0.02, jitter=False))
        await kit.publish(kit.event("bad", "stuck"), kit.event("after", "stuck"), *others)
        await world.start(handler, retry=retry)
        await kit.settled()
        assert world.handled == {event.id: 1 for event in [*others, kit.event("after")]}
        if world.features.order:
            assert world.done[-1].id == "after"
        (letter,) = await kit.dead()
        assert (letter.event and letter.event.id, letter.reason, letter.reclaims) == (
            "bad",
            Reason.REJECTED,
            0,
        )

    async def test_what_is_no_event_is_a_letter_at_once(self, world: World) -> None:
        kit = world.kit
        await kit.commands.xadd(kit.stream, {"junk": "x"})
        await kit.publish(kit.event("good"))
        await world.start()
        await kit.settled()
        assert [letter.reason for letter in await kit.dead()] == [Reason.MALFORMED]
        assert world.handled == {"good": 1}

    @pytest.mark.proves("X1")
    async def test_what_a_vanished_reader_had_is_handled_on_an_idle_stream(self, world: World) -> None:
        kit, begun = world.kit, asyncio.Event()

        async def hangs(event: RawEvent) -> None:
            begun.set()
            await asyncio.Event().wait()

        await kit.publish(*(kit.event(f"e{n}", f"s{n % 3}", n=n) for n in range(9)))
        first = await world.start(hangs, **SOON)
        await begun.wait()
        await world.vanish(first)
        assert await kit.pending() == 9
        await world.start(**SOON)
        await eventually(lambda: len(world.done) == 9)
        await kit.settled()
        assert set(world.handled.values()) == {1}
        if world.features.order:
            assert_in_order(world.done)

    @pytest.mark.proves("X2")
    async def test_a_handler_longer_than_lease_and_idle_time_runs_once(self, world: World) -> None:
        kit, started = world.kit, Counter[str]()

        async def slow(event: RawEvent) -> None:
            started[event.id] += 1
            await asyncio.sleep(2.4 if event.id == "slow" else 0)

        for name in ("first", "second", "third"):
            await world.start(slow, consumer=name, **SOON)
        await kit.publish(kit.event("slow"), *(kit.event(f"e{n}", f"s{n}") for n in range(5)))
        await kit.settled(within=40)
        assert set(started.values()) == {1}
        assert set(world.handled.values()) == {1}
        assert len(started) == 6

    @pytest.mark.proves("X4")
    @pytest.mark.parametrize("what", ["group", "stream", "everything"])
    async def test_what_vanishes_is_made_again(self, world: World, what: str) -> None:
        kit = world.kit
        await world.start()
        await kit.publish(kit.event("before"))
        await eventually(lambda: "before" in world.handled)
        await kit.settled()
        if what == "group":
            await kit.commands.xgroup_destroy(kit.stream, kit.group)
        elif what == "stream":
            await kit.commands.delete(kit.stream)
        else:
            await kit.commands.flushall()
            await kit.commands.script_flush()
        await kit.publish(kit.event("after"))
        await eventually(lambda: "after" in world.handled)
        await kit.settled()

    @pytest.mark.proves("X5")
    async def test_forgetting_idle_consumers_loses_nothing_that_they_hold(self, world: World) -> None:
        """Those that hold nothing go; those that do stay until it was taken over."""
        from rediscore.scripts import Script

        kit = world.kit
        await kit.publish(*(kit.event(f"e{n}", f"s{n}") for n in range(4)))
        await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
        await kit.commands.xreadgroup(kit.group, "died", {kit.stream: ">"}, count=2)
        await kit.commands.xgroup_createconsumer(kit.stream, kit.group, "left")
        forget = Script.load("rediscore.streams.lua", "forget_consumers.lua")
        assert await forget(kit.connections, keys=[kit.stream], args=[kit.group, "me", 0]) == 1
        assert await kit.pending() == 2
        await world.start(**SOON)
        await eventually(lambda: len(world.done) == 4)
        await kit.settled()
        assert set(world.handled.values()) == {1}

    @pytest.mark.proves("X6")
    async def test_the_length_is_bounded_by_what_somebody_needs(self, world: World) -> None:
        kit = world.kit
        await kit.commands.xgroup_create(kit.stream, "slow", id="0", mkstream=True)
        await world.start()
        ids = await kit.publish(*(kit.event(f"e{n}", f"s{n % 5}") for n in range(50)))
        await kit.settled()
        await kit.commands.xreadgroup("slow", "c", {kit.stream: ">"}, count=30)
        await kit.commands.xack(kit.stream, "slow", *ids[:20])
        await kit.publisher.trim(kit.stream, keep=5)
        assert [entry for entry, _ in await kit.entries()] == ids[20:]
        await kit.commands.xreadgroup("slow", "c", {kit.stream: ">"})
        await kit.commands.xack(kit.stream, "slow", *ids)
        await kit.publisher.trim(kit.stream, keep=5)
        assert [entry for entry, _ in await kit.entries()] == ids[-5:]

    @pytest.mark.proves("X7")
    async def test_a_letter_keeps_all_and_is_sent_again_to_its_group_alone(self, world: World) -> None:
        kit, sick = world.kit, True
        others: list[str] = []

        async def handler(event: RawEvent) -> None:
            if sick and event.id == "bad":
                raise ValueError("no such oven")

        async def other(event: RawEvent) -> None:
            others.append(event.id)

        elsewhere = ReliableStreams(kit.connections, group="other", keys=kit.keys)
        elsewhere.subscriber(kit.stream).on_any(other)
        kit.running.append(elsewhere)
        await elsewhere.start()
        await world.start(handler)
        (entry_id,) = await kit.publish(kit.event("bad"))
        await kit.publish(kit.event("good", "s2"))
        await kit.settled()
        (letter,) = await kit.dead()
        assert (letter.original_id, letter.attempts, letter.group) == (entry_id, 3, kit.group)
        assert (letter.reason, letter.reclaims) == (Reason.HANDLER_FAILED, 0)
        assert "ValueError" in letter.traceback
        assert letter.entry == dict(await kit.entries())[entry_id][b"__data__"]
        # Cut away meanwhile: the letter has all that is needed.
        await kit.commands.xtrim(kit.stream, maxlen=0)
        sick = False
        assert await kit.box().redrive_all(kit.group, by="luigi") == 1
        await eventually(lambda: world.handled["bad"] == 1)

        async def ended() -> bool:
            return not await kit.box().on_their_way(kit.group)

        await eventually(ended)
        await eventually(lambda: others == ["bad", "good"])
        assert await kit.box().counts() == {}

    async def test_who_stops_in_good_order_hands_over_at_once_and_counts_no_crash(self, world: World) -> None:
        kit, started = world.kit, 0

        async def slow(event: RawEvent) -> None:
            nonlocal started
            started += 1
            await asyncio.sleep(0.05)

        # One subject: what is behind the first was not begun. An idle time that nobody waits for.
        await kit.publish(*(kit.event(f"e{n}", "s", n=n) for n in range(40)))
        for _ in range(3):
            before = started
            streams = await world.start(slow, min_idle=60.0, prefetch=4)
            await eventually(lambda before=before: started > before)  # type: ignore[misc]
            await streams.stop()
        # What was taken and not begun counts as never delivered; once, when its answer was under way.
        held = await kit.commands.xpending_range(kit.stream, kit.group, "-", "+", 100)
        assert all(entry["times_delivered"] <= 1 for entry in held)
        if world.features.order and not world.features.batch:
            assert 0 in {entry["times_delivered"] for entry in held}
        await world.start(slow, min_idle=60.0)
        await kit.settled(within=40)
        assert world.handled == {f"e{n}": 1 for n in range(40)}
