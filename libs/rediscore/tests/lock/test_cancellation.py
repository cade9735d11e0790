"""Cancelled anywhere: nothing is held, nobody stands in line, no task is left, and the others go on."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks, LockTimeout
from rediscore.lock.verbs import Verbs
from rediscore.testing import FaultProxy

pytestmark = [pytest.mark.proves("R10"), pytest.mark.proves("LK2"), pytest.mark.proves("T2")]

Other = Callable[[str], Verbs]
InLine = Callable[[int], Awaitable[None]]


async def enter(locks: Locks) -> None:
    async with locks.lock("x"):
        await asyncio.sleep(0)


async def free_within_a_second(locks: Locks) -> None:
    begun = time.monotonic()
    async with locks.lock("x", wait=timedelta(seconds=9)):
        assert time.monotonic() - begun < 5  # a second, and the rest for a busy machine


@pytest.mark.parametrize("contended", [False, True])
async def test_cancelled_at_every_step(locks: Locks, other: Other, in_line: InLine, contended: bool) -> None:
    """Step by step of the event loop, from before the request to after the answer."""
    await enter(locks)
    cancelled = 0
    for steps in range(40):
        holder = other(f"holder{steps}")
        if contended:
            assert (await holder.acquire(10_000, stand_in_line=False))[0]
        task = asyncio.create_task(enter(locks))
        for _ in range(steps):
            await asyncio.sleep(0.0001 if steps > 20 else 0)
        if contended:
            await holder.release()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        cancelled += task.cancelled()
        await free_within_a_second(locks)
    await in_line(0)
    assert cancelled > 5


async def test_cancelled_while_the_reply_is_on_the_wire(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    """The server gives the lock; the caller is gone before it can know."""
    await enter(distant)
    fault_proxy.latency = 0.2
    task = asyncio.create_task(enter(distant))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await free_within_a_second(locks)


async def test_cancelled_again_while_it_gives_back(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    """The network hangs, and then loses what was under way."""
    await enter(distant)
    fault_proxy.latency = 0.2
    task = asyncio.create_task(enter(distant))
    await asyncio.sleep(0.1)  # the server has given the lock
    fault_proxy.pause()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.05)
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    with pytest.raises(LockTimeout):
        await locks.lock("x", wait=timedelta(0)).__aenter__()
    fault_proxy.reset()
    fault_proxy.resume()
    await free_within_a_second(locks)


async def test_cancelled_while_it_releases(distant: Locks, locks: Locks, fault_proxy: FaultProxy) -> None:
    """The release is lost with the network; the next one comes by itself."""

    async def work() -> None:
        async with distant.lock("x"):
            fault_proxy.pause()

    await enter(distant)
    task = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    fault_proxy.reset()
    fault_proxy.resume()
    await free_within_a_second(locks)


async def test_storm(connections: RedisConnections, keys: KeySpace, in_line: InLine) -> None:
    """Hundreds come and are cancelled at any moment; those who are not all get the lock, one at a time."""
    dice = random.Random(7)
    inside = 0
    done = 0
    tokens: list[int] = []

    async def work(locks: Locks) -> None:
        nonlocal inside, done
        async with locks.lock("x", wait=timedelta(seconds=60)) as lease:
            inside += 1
            try:
                assert inside == 1
                tokens.append(lease.token)
                await asyncio.sleep(0.001)
            finally:
                inside -= 1
        done += 1

    async with Locks(connections, keys=keys) as one, Locks(connections, keys=keys) as two:
        tasks = []
        for _ in range(400):
            tasks.append(asyncio.create_task(work(dice.choice([one, two]))))
            if dice.random() < 0.8:
                asyncio.get_running_loop().call_later(dice.expovariate(20), tasks[-1].cancel)
            await asyncio.sleep(dice.choice([0, 0.001, 0.004]))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await free_within_a_second(one)
    assert {type(result) for result in results} == {asyncio.CancelledError, type(None)}
    assert done == results.count(None)
    assert tokens == sorted(set(tokens))
    await in_line(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("lock-", "live-"))]
