"""Holding a lock: renewed while the body runs, and the body is stopped as soon as it is held no longer."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from redis.exceptions import RedisError
from rediscore.client import RedisConnections
from rediscore.errors import LeaseLost
from rediscore.lock import Lease, LockLost, Locks, LockTimeout
from rediscore.lock.locks import Hold
from rediscore.lock.verbs import Verbs
from rediscore.testing import FaultProxy

pytestmark = pytest.mark.proves("R10")

Other = Callable[[str], Verbs]

Delete = Callable[[], Awaitable[None]]

NOT = timedelta(0)


async def hold(lock: Hold, body: Callable[[Lease], Awaitable[None]]) -> None:
    async with lock as lease:
        await body(lease)


@pytest.fixture
def delete(connections: RedisConnections, key_prefix: str) -> Delete:
    """Lose the lock alone, so that the next renewal fails."""

    async def delete() -> None:
        (key,) = [key async for key in connections.scan_keys(f"{key_prefix}:*:held:x")]
        await connections.execute("DEL", key)

    return delete


@pytest.mark.proves("LK5")
async def test_renewed_as_long_as_the_body_runs_also_over_a_short_outage(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    async with distant.lock("x", ttl=timedelta(seconds=3.5)) as lease:
        begun, first = time.monotonic(), lease.deadline
        fault_proxy.cut()
        await asyncio.sleep(1.4)  # the first attempt, after 1.2 s, fails
        fault_proxy.restore()
        while time.monotonic() < begun + 3.7:
            with pytest.raises(LockTimeout):
                await locks.lock("x", wait=NOT).__aenter__()
            await asyncio.sleep(0.1)
        lease.check()
        assert lease.deadline > first
        assert not lease.lost.is_set()
    async with locks.lock("x", wait=NOT) as heir:
        assert heir.token > lease.token


async def test_the_deadline_counts_from_before_the_request(distant: Locks, fault_proxy: FaultProxy) -> None:
    fault_proxy.latency = 0.3
    begun = time.monotonic()
    async with distant.lock("x", ttl=timedelta(seconds=5)) as lease:
        assert begun + 4 < lease.deadline < begun + 5


@pytest.mark.proves("LK4")
async def test_nobody_releases_or_extends_the_lock_of_another(locks: Locks, other: Other) -> None:
    stranger = other("stranger")
    async with locks.lock("x") as lease:
        assert not await stranger.extend(60_000)
        assert not await stranger.release()
        with pytest.raises(LockTimeout):
            await locks.lock("x", wait=NOT).__aenter__()
        lease.check()


@pytest.mark.proves("LK4")
async def test_a_late_release_does_not_free_the_heirs_lock(locks: Locks, other: Other) -> None:
    late = other("late")
    assert (await late.acquire(150, stand_in_line=False))[0]
    async with locks.lock("x") as lease:  # its lease has ended
        assert not await late.extend(60_000)
        assert not await late.release()
        with pytest.raises(LockTimeout):
            await locks.lock("x", wait=NOT).__aenter__()
        lease.check()


@pytest.mark.proves("LK5")
async def test_body_is_cancelled_before_the_deadline_when_renewal_fails(
    distant: Locks, fault_proxy: FaultProxy
) -> None:
    lateness = ended = 0.0
    lease: Lease

    async def measure_the_machine() -> None:
        nonlocal lateness
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            lateness = max(lateness, time.monotonic() - begun - 0.01)

    async def body(held: Lease) -> None:
        nonlocal ended, lease
        lease = held
        fault_proxy.pause()  # no error, no answer
        try:
            await asyncio.sleep(60)
        finally:
            ended = time.monotonic()

    measuring = asyncio.create_task(measure_the_machine())
    with pytest.raises(LockLost, match="was not renewed in time"):
        await hold(distant.lock("x", ttl=timedelta(seconds=2)), body)
    measuring.cancel()
    fault_proxy.resume()
    assert lease.lost.is_set()
    assert lease.deadline - 1 < ended < lease.deadline + lateness
    with pytest.raises(LeaseLost):
        lease.check()


@pytest.mark.proves("LK5")
async def test_body_is_cancelled_when_the_lock_is_gone(locks: Locks, delete: Delete, other: Other) -> None:
    heir = other("heir")
    ended = 0.0
    lease: Lease

    async def body(held: Lease) -> None:
        nonlocal ended, lease
        lease = held
        await delete()
        # Also without the key tokens grow.
        token, _ = await heir.acquire(60_000, stand_in_line=False)
        assert token > lease.token
        try:
            await asyncio.sleep(60)
        finally:
            ended = time.monotonic()

    with pytest.raises(LockLost, match="somebody else's or gone"):
        await hold(locks.lock("x", ttl=timedelta(seconds=3)), body)
    assert ended < lease.deadline
    with pytest.raises(LockTimeout):  # and the heir has kept it
        await locks.lock("x", wait=NOT).__aenter__()


async def test_a_short_body_learns_at_its_end_that_the_lock_was_gone(locks: Locks, delete: Delete) -> None:
    async def body(lease: Lease) -> None:
        await delete()

    with pytest.raises(LockLost, match="gone before the end"):
        await hold(locks.lock("x"), body)


@pytest.mark.proves("LK6")
async def test_after_a_blocked_loop_the_first_await_raises(locks: Locks) -> None:
    reached = False

    async def body(lease: Lease) -> None:
        nonlocal reached
        time.sleep(0.7)  # noqa: ASYNC251  that is the fault
        with pytest.raises(LockLost):
            lease.check()
        await asyncio.sleep(0.01)
        reached = True

    with pytest.raises(LockLost, match="not renewed in time"):
        await hold(locks.lock("x", ttl=timedelta(seconds=0.5)), body)
    assert not reached


@pytest.mark.proves("LK6")
async def test_a_body_that_never_awaits_learns_it_at_the_end(locks: Locks) -> None:
    with pytest.raises(LockLost, match="ran out"):
        async with locks.lock("x", ttl=timedelta(seconds=0.3)):
            time.sleep(0.5)  # noqa: ASYNC251


async def test_without_renewal_the_body_has_the_lease(locks: Locks) -> None:
    begun = time.monotonic()
    with pytest.raises(LockLost, match="not renewed"):
        async with locks.lock("x", ttl=timedelta(seconds=1), renew=False):
            await asyncio.sleep(60)
    assert 0.8 < time.monotonic() - begun < 3


async def test_our_cancellation_is_used_up(locks: Locks, delete: Delete) -> None:
    """As with asyncio.timeout: the task is not cancelled any more when LockLost is raised."""

    async def body(lease: Lease) -> None:
        await delete()
        await asyncio.sleep(60)

    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(LockLost) as caught:
        await hold(locks.lock("x", ttl=timedelta(seconds=0.6)), body)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_wins(locks: Locks, delete: Delete) -> None:
    losing = asyncio.Event()

    async def body(lease: Lease) -> None:
        await delete()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert lease.lost.is_set()
            losing.set()
            await asyncio.sleep(60)  # slow to clean up; now it is cancelled from outside, too
            raise

    task = asyncio.create_task(hold(locks.lock("x", ttl=timedelta(seconds=0.6)), body))
    await losing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_timeout_around_the_body_stays_a_timeout(locks: Locks) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), locks.lock("x"):
            await asyncio.sleep(60)
    async with locks.lock("x", wait=NOT):
        pass


async def test_the_bodys_own_error_goes_first(locks: Locks, delete: Delete) -> None:
    async def body(lease: Lease) -> None:
        await delete()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert lease.lost.is_set()
            raise KeyError from None

    with pytest.raises(KeyError):
        async with locks.lock("x"):
            raise KeyError
    with pytest.raises(KeyError):
        await hold(locks.lock("x", ttl=timedelta(seconds=0.6)), body)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_swallows_the_cancellation_hears_of_it_all_the_same(locks: Locks, delete: Delete) -> None:
    async def body(lease: Lease) -> None:
        await delete()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    with pytest.raises(LockLost):
        await hold(locks.lock("x", ttl=timedelta(seconds=0.6)), body)


async def test_a_server_that_is_away_at_the_end_does_no_harm(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    """The body was protected; the lease runs out by itself."""
    async with distant.lock("x", ttl=timedelta(seconds=1.5)):
        fault_proxy.cut()
    async with locks.lock("x"):
        pass
    with pytest.raises(RedisError):
        async with distant.lock("x", wait=timedelta(seconds=0.1)):
            pytest.fail("entered")
    fault_proxy.restore()
