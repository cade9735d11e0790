"""Every verb is safe to send twice: a lost reply leaves one effect, and the same answer comes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock import Locks, LockTimeout
from rediscore.lock.verbs import Verbs
from rediscore.testing import FaultProxy

pytestmark = [pytest.mark.proves("R10"), pytest.mark.proves("T1")]

Other = Callable[[str], Verbs]

NOT = timedelta(0)


@pytest.mark.proves("LK3")
async def test_the_lost_reply_to_acquire_does_not_block_the_lock(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    """Also for one that does not wait: it recognises what it was given."""
    async with locks.lock("x") as before:
        pass
    fault_proxy.swallow_reply()
    async with distant.lock("x", wait=NOT) as lease:
        assert fault_proxy.swallowed == 1
        assert lease.token > before.token
        lease.check()
    async with locks.lock("x", wait=NOT):
        pass


@pytest.mark.proves("LK3")
async def test_the_repeated_request_gets_the_same_token(other: Other) -> None:
    owner = other("a")
    token, _ = await owner.acquire(10_000, stand_in_line=True)
    assert token
    assert await owner.acquire(10_000, stand_in_line=True) == (token, 0)


@pytest.mark.proves("LK3")
async def test_the_lost_reply_to_a_place_in_line_keeps_the_place(
    distant: Locks, other: Other, fault_proxy: FaultProxy, through_proxy: RedisConnections, keys: KeySpace
) -> None:
    holder, second = other("holder"), other("second")
    assert (await holder.acquire(10_000, stand_in_line=False))[0]
    first = Verbs(through_proxy, keys, "x", "nowhere#first")
    fault_proxy.swallow_reply()
    assert (await first.acquire(10_000, stand_in_line=True))[0] == 0
    assert fault_proxy.swallowed == 1
    assert (await second.acquire(10_000, stand_in_line=True))[0] == 0
    assert await holder.release()
    assert (await second.acquire(10_000, stand_in_line=True))[0] == 0
    assert (await first.acquire(10_000, stand_in_line=True))[0]


async def test_the_lost_reply_to_release_is_no_loss(
    distant: Locks, locks: Locks, fault_proxy: FaultProxy
) -> None:
    async with distant.lock("x"):
        fault_proxy.swallow_reply()
    assert fault_proxy.swallowed == 1
    async with locks.lock("x", wait=NOT):
        pass


async def test_the_lost_reply_to_extend_is_no_loss(other: Other, distant: Locks) -> None:
    owner = other("a")
    token, _ = await owner.acquire(300, stand_in_line=False)
    assert await owner.extend(10_000)
    assert await owner.extend(10_000)
    assert await owner.acquire(10_000, stand_in_line=False) == (token, 0)


@pytest.mark.proves("LK2")
@pytest.mark.parametrize("stand_in_line", [True, False])
async def test_a_request_that_arrives_after_its_owner_gave_up_is_refused(
    stand_in_line: bool,
    through_proxy: RedisConnections,
    other: Other,
    locks: Locks,
    keys: KeySpace,
    fault_proxy: FaultProxy,
) -> None:
    """The first sending hung in the network; the owner has left by another connection in the meantime."""
    owner = Verbs(through_proxy, keys, "x", "nowhere#late")
    fault_proxy.swallow_reply()
    token, _ = await owner.acquire(10_000, stand_in_line=stand_in_line)  # the second sending is answered
    assert token
    assert fault_proxy.swallowed == 1
    assert await owner.release()
    late = other("late")
    assert await late.acquire(10_000, stand_in_line=stand_in_line) == (0, 0)
    async with locks.lock("x", wait=NOT):
        assert (await late.acquire(10_000, stand_in_line=stand_in_line))[0] == 0
    with pytest.raises(LockTimeout):  # while one that is not late gets it
        async with locks.lock("x", wait=NOT), locks.lock("x", wait=NOT):
            pass


@pytest.mark.proves("R21")
async def test_a_server_that_forgot_its_scripts(locks: Locks, connections: RedisConnections) -> None:
    await connections.execute("SCRIPT", "FLUSH")
    async with locks.lock("x") as lease:
        await connections.execute("SCRIPT", "FLUSH")
    async with locks.lock("x", wait=NOT) as heir:
        assert heir.token > lease.token
