"""Waiting for work: woken at once, and nothing is lost with a waiter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import Claim, PriorityQueue
from rediscore.testing import FaultProxy, ServerTime, ServerUnderTest, eventually, patient_settings

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., Any]
AllBlocked = Callable[[int], Awaitable[None]]

LONG = timedelta(seconds=20)


def waiter(queue: PriorityQueue, wait: timedelta = LONG) -> asyncio.Task[tuple[Claim | None, float]]:
    async def claim() -> tuple[Claim | None, float]:
        claim = await queue.claim_wait("w", wait=wait)
        return claim, time.monotonic()

    return asyncio.create_task(claim())


@pytest.fixture
def all_blocked(connections: RedisConnections) -> AllBlocked:
    """Wait until so many clients are blocked on the server: what a waiting claim ends in."""

    async def blocked(count: int) -> None:
        async def check() -> bool:
            return int((await connections.commands.info("clients"))["blocked_clients"]) >= count

        await eventually(check, what=f"{count} blocked clients")

    return blocked


async def test_woken_by_an_arrival(queue: PriorityQueue, all_blocked: AllBlocked) -> None:
    waiting = waiter(queue)
    await all_blocked(1)
    added = time.monotonic()
    await queue.add("a")

    claim, at = await waiting

    assert claim is not None
    assert claim.entry_id == "a"
    assert at - added < 1  # a poll would need luck for that; typical is a millisecond


async def test_as_many_waiters_wake_as_there_are_entries(
    queue: PriorityQueue, all_blocked: AllBlocked
) -> None:
    waiting = [waiter(queue) for _ in range(8)]
    await all_blocked(8)
    added = time.monotonic()
    await asyncio.gather(*(queue.add(str(n)) for n in range(8)))

    claims = await asyncio.gather(*waiting)

    assert {claim.entry_id for claim, _ in claims if claim} == {str(n) for n in range(8)}
    assert max(at for _, at in claims) - added < 1.5


@pytest.mark.proves("Q6")
async def test_woken_when_a_delayed_entry_falls_due(queue: PriorityQueue, all_blocked: AllBlocked) -> None:
    waiting = waiter(queue)
    await all_blocked(1)
    added = time.monotonic()
    await queue.add("late", delay=timedelta(seconds=30))
    await queue.add("soon", delay=timedelta(milliseconds=300))

    claim, at = await waiting

    assert claim is not None
    assert claim.entry_id == "soon"
    assert 0.29 < at - added < 1.5


async def test_all_wake_when_many_entries_become_ready_in_one_step(
    timed: PriorityQueue, now: ServerTime, all_blocked: AllBlocked
) -> None:
    """There is one marker for all of them: who takes it wakes the next."""
    waiting = [waiter(timed) for _ in range(8)]
    await all_blocked(8)
    for n in range(8):
        await timed.add(str(n), delay=timedelta(minutes=1))
    await all_blocked(8)  # a claim on its way would give a lease that is over in the time to come
    now.advance(minutes=1)
    ready = time.monotonic()
    await timed.recover()

    claims = await asyncio.gather(*waiting)

    assert {claim.entry_id for claim, _ in claims if claim} == {str(n) for n in range(8)}
    assert max(at for _, at in claims) - ready < 2  # alone they look every 5 s


@pytest.mark.proves("Q6")
async def test_due_time_does_not_wait_for_the_servers_next_tick(disposable_server: ServerUnderTest) -> None:
    """A server ends blocking commands in its own ticks; at one a second these take twelve seconds."""
    connections = RedisConnections(patient_settings(disposable_server.url))
    queue = PriorityQueue(connections, "q", keys=KeySpace("t"), head_start={"standard": timedelta(0)})
    try:
        await connections.commands.config_set("dynamic-hz", "no")
        await connections.commands.config_set("hz", "1")
        started = time.monotonic()
        for n in range(12):
            await queue.add(str(n), delay=timedelta(milliseconds=50))
            assert await queue.claim_wait("w", wait=LONG) is not None

        assert time.monotonic() - started < 8
    finally:
        await connections.aclose()


async def test_woken_when_a_lease_runs_out(queue: PriorityQueue, all_blocked: AllBlocked) -> None:
    await queue.add("a")
    claim = await queue.claim("dead", lease=timedelta(milliseconds=400))
    assert claim is not None
    claimed = time.monotonic()

    heir, at = await waiter(queue)

    assert heir is not None
    assert heir.token > claim.token
    assert at - claimed < 1.5


async def test_lease_given_while_waiting_is_taken_over_in_time(
    make_queue: MakeQueue, all_blocked: AllBlocked
) -> None:
    """Whoever blocked before the lease was given knows nothing of its end, and nobody wakes it."""
    queue = make_queue(lease=timedelta(milliseconds=400))
    waiting = {waiter(queue), waiter(queue)}
    await all_blocked(2)
    await queue.add("a")
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    first, claimed = done.pop().result()

    heir, at = await left.pop()

    assert first is not None
    assert heir is not None
    assert heir.token > first.token
    assert at - claimed < 2


async def test_woken_by_nack_and_release(queue: PriorityQueue, all_blocked: AllBlocked) -> None:
    for verb in ("nack", "release"):
        await queue.add(verb)
        claim = await queue.claim("w")
        assert claim is not None
        waiting = waiter(queue)
        await all_blocked(1)
        options = {"delay": timedelta(0)} if verb == "nack" else {}
        before = time.monotonic()

        await getattr(queue, verb)(claim.entry_id, claim.token, **options)

        again, at = await waiting
        assert again is not None
        assert at - before < 1
        await queue.ack(verb, again.token)


async def test_nothing_comes_of_nothing_in_its_time(queue: PriorityQueue) -> None:
    started = time.monotonic()

    assert await queue.claim_wait("w", wait=timedelta(milliseconds=300)) is None
    assert 0.3 <= time.monotonic() - started < 5
    assert await queue.claim_wait("w", wait=timedelta(0)) is None


@pytest.mark.proves("Q7")
async def test_waiter_cancelled_at_any_moment_loses_nothing(queue: PriorityQueue) -> None:
    """50 entries, and for each one a waiter that is cancelled around the moment of its arrival. A claim
    that was on the wire is given back, so all is ready again at once, not after the lease."""
    pause = random.Random(16)
    for n in range(50):
        waiting = waiter(queue)
        await asyncio.sleep(pause.uniform(0, 0.004))
        adding = asyncio.create_task(queue.add(str(n)))
        await asyncio.sleep(pause.uniform(0, 0.002))
        waiting.cancel()
        await asyncio.wait({waiting, adding})
        if not waiting.cancelled():  # it was faster: give back what it got
            claim, _ = waiting.result()
            assert claim is not None
            await queue.release(claim.entry_id, claim.token)

    stats = await queue.stats()
    assert (stats.ready, stats.leased) == (50, 0)


@pytest.mark.proves("Q7")
async def test_claim_cancelled_while_its_reply_is_on_the_wire_is_given_back(
    make_queue: MakeQueue, queue: PriorityQueue, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    slow = make_queue(through_proxy)
    await queue.add("a")
    fault_proxy.latency = 0.2
    claiming = asyncio.create_task(slow.claim("w"))

    async def leased() -> bool:
        return (await queue.stats()).leased == 1

    await eventually(leased)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming

    (entry,) = await queue.peek()
    assert (entry.entry_id, entry.failures) == ("a", 0)


@pytest.mark.proves("Q7")
async def test_waiter_cancelled_on_its_way_out_gives_back_what_it_has(
    make_queue: MakeQueue, queue: PriorityQueue, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    """A due entry is claimed while the marker is still being watched; ending that takes a moment."""
    await queue.add("a", delay=timedelta(seconds=3))
    waiting = waiter(make_queue(through_proxy))
    await eventually(lambda: len(fault_proxy.links) == 2)  # one of them watches the marker
    fault_proxy.latency = 0.15

    # The watch is over, so the answer has arrived; the wake-up is being passed on.
    await eventually(lambda: len(fault_proxy.links) == 1, every=0.001, within=40)
    assert waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (await queue.stats()).ready == 1


@pytest.mark.proves("Q7")
async def test_wake_up_that_went_to_a_cancelled_waiter_is_passed_on(
    make_queue: MakeQueue,
    queue: PriorityQueue,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    all_blocked: AllBlocked,
) -> None:
    """The marker is taken by a waiter whose reply hangs; when it is cancelled the other one must hear."""
    hanging = waiter(make_queue(through_proxy))
    await all_blocked(1)
    healthy = waiter(queue)
    await all_blocked(2)
    fault_proxy.pause()
    await queue.add("a")  # the first one who waits gets the marker: the hanging one
    done, _ = await asyncio.wait({healthy}, timeout=0.3)
    assert not done
    cancelled = time.monotonic()
    hanging.cancel()
    fault_proxy.resume()

    claim, at = await healthy

    assert claim is not None
    assert at - cancelled < 2
    with pytest.raises(asyncio.CancelledError):
        await hanging


async def test_waits_through_a_broken_connection(
    make_queue: MakeQueue,
    queue: PriorityQueue,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    all_blocked: AllBlocked,
) -> None:
    waiting = waiter(make_queue(through_proxy))
    await all_blocked(1)
    fault_proxy.reset()
    await queue.add("a")

    claim, _ = await waiting

    assert claim is not None


@pytest.mark.proves("R1")
async def test_waits_through_a_restart_of_the_server(disposable_server: ServerUnderTest) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url, retries=0))
    queue = PriorityQueue(connections, "q", keys=KeySpace("t"), head_start={"standard": timedelta(0)})
    try:
        waiting = waiter(queue)
        await eventually(lambda: connections._blocking)
        await asyncio.to_thread(disposable_server.kill)
        with pytest.raises(RedisConnectionError):
            await queue.add("too early")
        await asyncio.to_thread(disposable_server.start)
        await queue.add("a")

        claim, _ = await waiting

        assert claim is not None
    finally:
        await connections.aclose()


async def test_more_waiters_than_connections(redis_url: str, make_queue: MakeQueue) -> None:
    settings = patient_settings(redis_url, blocking_pool_size=2, pool_size=2)
    connections = RedisConnections(settings)
    queue = make_queue(connections)
    try:
        waiting = [waiter(queue) for _ in range(6)]
        for n in range(6):
            await queue.add(str(n))

        claims = await asyncio.wait_for(asyncio.gather(*waiting), 15)

        assert {claim.entry_id for claim, _ in claims if claim} == {str(n) for n in range(6)}
    finally:
        await connections.aclose()


@pytest.mark.proves("Q6")
async def test_idle_waiter_asks_seldom(queue: PriorityQueue, connections: RedisConnections) -> None:
    """Blocking means blocking: a waiter costs a few commands per wait, not a poll."""
    async with connections.commands.client() as own:
        await own.config_resetstat()
        assert await queue.claim_wait("w", wait=timedelta(seconds=1)) is None
        calls = await own.info("commandstats")

    # Redis 8 does not count a blocking command that nobody waited out.
    assert calls.get("cmdstat_bzpopmin", {"calls": 0})["calls"] <= 2
    assert sum(stat["calls"] for name, stat in calls.items() if name.startswith("cmdstat_eval")) <= 4


async def test_server_away_for_all_the_wait_is_an_error_in_the_end(
    make_queue: MakeQueue, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    fault_proxy.cut()
    started = time.monotonic()

    with pytest.raises(RedisConnectionError):
        await make_queue(through_proxy).claim_wait("w", wait=timedelta(seconds=1))

    assert 1 <= time.monotonic() - started < 5
