"""Waiting for a lock: first come first served, woken at once, and nobody sleeps on or is passed over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks, LockTimeout
from rediscore.lock.verbs import Verbs
from rediscore.metrics import Metrics
from rediscore.pubsub import LiveChannels

pytestmark = pytest.mark.proves("R10")

InLine = Callable[[int], Awaitable[None]]
Other = Callable[[str], Verbs]

LONG = timedelta(seconds=20)


@pytest.fixture
def only_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiters do not look by themselves: who gets the lock was told."""
    monkeypatch.setattr("rediscore.lock.locks._LOOK_AGAIN", 60.0)
    monkeypatch.setattr("rediscore.lock.verbs.HEARTBEAT_MS", 60_000)


@pytest.fixture
def never_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is lost."""

    @asynccontextmanager
    async def silence(self: LiveChannels, channel: str, **_: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async def messages() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        yield messages()

    monkeypatch.setattr(LiveChannels, "subscription", silence)


async def stand_in_line(
    locks: Locks, numbers: range, in_line: InLine, order: list[int], tokens: list[int]
) -> list[asyncio.Task[None]]:
    """One task per number, each in line behind the last."""

    async def work(number: int) -> None:
        async with locks.lock("x", wait=LONG) as lease:
            order.append(number)
            tokens.append(lease.token)
            await asyncio.sleep(0.002)

    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(work(number)))
        await in_line(number + 1)
    return tasks


@pytest.mark.proves("LK7")
@pytest.mark.usefixtures("only_woken")
async def test_twenty_waiters_of_two_processes_in_the_order_of_their_arrival(
    connections: RedisConnections, keys: KeySpace, in_line: InLine
) -> None:
    order: list[int] = []
    tokens: list[int] = []
    async with Locks(connections, keys=keys) as one, Locks(connections, keys=keys) as two:
        async with one.lock("x") as lease:
            tokens.append(lease.token)
            tasks = []
            for number in range(20):
                locks = one if number % 3 else two
                tasks += await stand_in_line(locks, range(number, number + 1), in_line, order, tokens)
            # Who comes without waiting does not get in between.
            with pytest.raises(LockTimeout):
                await two.lock("x", wait=timedelta(0)).__aenter__()
        await asyncio.gather(*tasks)
    assert order == list(range(20))
    assert tokens == sorted(set(tokens))


@pytest.mark.proves("LK7")
async def test_dead_waiters_are_passed_over_when_their_heartbeat_ends(
    locks: Locks, other: Other, in_line: InLine
) -> None:
    order: list[int] = []
    async with locks.lock("x"):
        for number in range(12):  # each asks once, and never again
            assert (await other(f"dead{number}").acquire(10_000, stand_in_line=True))[0] == 0
        tasks = []
        for number in range(3):
            tasks += [asyncio.create_task(_enter(locks, order, number))]
            await in_line(13 + number)
        freed = time.monotonic()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]
    assert time.monotonic() - freed < 15  # all together; one after the other takes 36 s


async def _enter(locks: Locks, order: list[int], number: int) -> None:
    async with locks.lock("x", wait=LONG):
        order.append(number)


@pytest.mark.proves("LK8")
@pytest.mark.usefixtures("never_woken")
async def test_no_waiter_sleeps_on_when_its_message_is_lost(locks: Locks, in_line: InLine) -> None:
    order: list[int] = []
    async with locks.lock("x"):
        tasks = await stand_in_line(locks, range(1), in_line, order, [])
    freed = time.monotonic()
    await asyncio.gather(*tasks)
    assert time.monotonic() - freed < 10  # looks every second, not when its patience ends


@pytest.mark.usefixtures("only_woken")
async def test_woken_when_the_lease_of_a_dead_holder_ends(locks: Locks, other: Other) -> None:
    begun = time.monotonic()
    token, _ = await other("dies").acquire(400, stand_in_line=False)
    async with locks.lock("x", wait=LONG) as lease:
        assert lease.token > token
        assert 0.39 <= time.monotonic() - begun < 3


@pytest.mark.usefixtures("only_woken")
async def test_woken_when_a_waiter_gives_up_its_turn(
    connections: RedisConnections, locks: Locks, other: Other, in_line: InLine
) -> None:
    """The first in line has been given the lock and leaves without it: the next is told."""
    order: list[int] = []
    async with locks.lock("x"):
        undecided = other("undecided")
        assert (await undecided.acquire(10_000, stand_in_line=True))[0] == 0
        task = asyncio.create_task(_enter(locks, order, 0))
        await in_line(2)
    assert not order
    assert await undecided.release()
    await task
    assert order == [0]


async def test_zero_wait_does_not_wait_nor_stand_in_line(
    locks: Locks, other: Other, connections: RedisConnections, key_prefix: str
) -> None:
    assert (await other("holds").acquire(10_000, stand_in_line=False))[0]
    with pytest.raises(LockTimeout, match=r"x did not become free within 0 s; .* ends in (9\.\d+|10) s"):
        async with locks.lock("x", wait=timedelta(0)):
            pytest.fail("entered")
    assert not [key async for key in connections.scan_keys(f"{key_prefix}:*:line:*")]


async def test_who_waits_too_long_leaves_the_line(locks: Locks, other: Other, in_line: InLine) -> None:
    holder = other("holds")
    assert (await holder.acquire(10_000, stand_in_line=False))[0]
    with pytest.raises(LockTimeout):
        async with locks.lock("x", wait=timedelta(milliseconds=200)):
            pytest.fail("entered")
    await in_line(0)
    assert await holder.release()
    async with locks.lock("x", wait=timedelta(0)):
        pass


async def test_no_reentrance_by_accident(locks: Locks) -> None:
    async with locks.lock("x"):
        with pytest.raises(LockTimeout):
            async with locks.lock("x", wait=timedelta(milliseconds=100)):
                pytest.fail("entered twice")
        async with locks.lock("y"):  # another lock is another matter
            pass


async def test_names_are_any_text_and_key_spaces_are_apart(
    connections: RedisConnections, key_prefix: str
) -> None:
    async with (
        Locks(connections, keys=KeySpace(key_prefix)) as locks,
        Locks(connections, keys=KeySpace(f"{key_prefix}-b")) as others,
    ):
        for name in ("a b", "{}", "}{", "ü\n#:", "x" * 1000):
            async with locks.lock(name, wait=timedelta(0)), others.lock(name, wait=timedelta(0)):
                with pytest.raises(LockTimeout):
                    await locks.lock(name, wait=timedelta(0)).__aenter__()


async def test_what_makes_no_sense_is_refused(locks: Locks) -> None:
    with pytest.raises(ValueError, match="A lock needs"):
        locks.lock("x", ttl=timedelta(0))
    with pytest.raises(ValueError, match="A lock needs"):
        locks.lock("x", wait=timedelta(-1))
    with pytest.raises(ValueError, match="A lock needs"):
        locks.lock("")
    hold = locks.lock("x")
    async with hold:
        pass
    with pytest.raises(RuntimeError, match="Enter it once"):
        async with hold:
            pass


async def test_round_trips_and_what_is_counted(
    connections: RedisConnections, keys: KeySpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    execute = connections.execute

    async def counted(*command: Any, **options: Any) -> Any:
        sent.append(command[0])
        return await execute(*command, **options)

    metrics = Metrics()
    async with Locks(connections, keys=keys, metrics=metrics) as locks:
        async with locks.lock("x"):
            pass
        monkeypatch.setattr(connections, "execute", counted)
        async with locks.lock("x"):
            assert sent == ["EVALSHA"]
        assert sent == ["EVALSHA"] * 2
        with pytest.raises(LockTimeout):
            async with locks.lock("x"), locks.lock("x", wait=timedelta(0)):
                pass
    meter = metrics.meter("lock", keys.prefix)
    assert meter.counts == {"acquired": 3, "timeout": 1}
    assert meter.timings["wait"].count == meter.timings["held"].count == 3


async def test_who_is_told_enters_without_asking_and_trusts_no_longer_than_the_server(
    connections: RedisConnections, keys: KeySpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease that comes with the turn runs since the waiter's own request, not since it heard of it."""
    sent: list[float] = []
    execute = connections.execute

    async def counted(*command: Any, **options: Any) -> Any:
        sent.append(time.monotonic())
        return await execute(*command, **options)

    async def wait_for_it(locks: Locks) -> float:
        async with locks.lock("x", wait=LONG) as lease:
            return lease.deadline

    async with Locks(connections, keys=keys) as one, Locks(connections, keys=keys) as two:
        for number in range(2):
            async with one.lock("x"):
                waiter = asyncio.create_task(wait_for_it(two))
                await asyncio.sleep(0.3)
            deadline = await waiter
            if number == 0:  # the server knows the scripts now, and `two` listens
                monkeypatch.setattr(connections, "execute", counted)
    _, stands_in_line, *others = sent
    assert len(others) == 2, "after that only the releases of both"
    assert deadline <= stands_in_line + 3
