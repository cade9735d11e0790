"""The lease of a partition, and the scripts that obey it."""

import pytest
from rediscore.clock import SystemClock
from rediscore.errors import LeaseLost
from rediscore.streams import Reason
from rediscore.streams.dead_letters import DeadLetters
from rediscore.streams.lease import PartitionLease
from rediscore.streams.pending import PendingList
from rediscore.streams.sources import Source
from rediscore.streams.work import Flaw, work_from_entry
from rediscore.testing import ManualClock, eventually
from rediscore.testing.streams import StreamKit

pytestmark = pytest.mark.proves("R18")


def lease(
    kit: StreamKit, owner: str, *, ttl: float = 30.0, clock: ManualClock | None = None
) -> PartitionLease:
    key = kit.keys.key("lease", tag=kit.stream)
    return PartitionLease(kit.connections, key, owner=owner, ttl=ttl, clock=clock or SystemClock())


async def test_one_holds_it_and_asking_again_is_harmless(kit: StreamKit) -> None:
    mine, other = lease(kit, "mine"), lease(kit, "other")
    assert await mine.acquire() == 0
    # As after an answer that was lost.
    assert await mine.acquire() == 0
    assert 29 < await other.acquire() <= 30
    assert (mine.held, other.held) == (True, False)
    await other.release()
    assert await other.acquire() > 0
    await mine.release()
    assert not mine.held
    assert await other.acquire() == 0


async def test_it_runs_out_and_is_not_revived(kit: StreamKit) -> None:
    mine, other = lease(kit, "mine", ttl=0.2), lease(kit, "other")
    assert await mine.acquire() == 0

    async def gone() -> bool:
        return not await kit.commands.exists(mine.key)

    await eventually(gone)
    with pytest.raises(LeaseLost):
        await mine.renew()
    assert not await kit.commands.exists(mine.key)
    assert await other.acquire() == 0
    with pytest.raises(LeaseLost):
        await mine.renew()


async def test_the_holder_stops_before_redis_gives_it_away(kit: StreamKit) -> None:
    clock = ManualClock()
    mine = lease(kit, "mine", ttl=10.0, clock=clock)
    await mine.acquire()
    assert (mine.held, mine.due) == (True, False)
    await clock.advance(4.0)
    assert (mine.held, mine.due) == (True, True)
    await mine.renew()
    await clock.advance(8.9)
    assert (mine.held, mine.due) == (True, True)
    await clock.advance(0.2)
    assert (mine.held, mine.due) == (False, True)
    # Redis still keeps it for the holder.
    assert await kit.commands.pttl(mine.key) > 9000


async def test_who_lost_it_can_claim_nothing_and_write_no_letter(kit: StreamKit) -> None:
    mine = lease(kit, "mine")
    await mine.acquire()
    await kit.publish(kit.event("a"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "gone", {kit.stream: ">"})
    failures = kit.keys.key("failures", tag=kit.stream)
    pending = PendingList(
        kit.connections,
        source=Source(kit.stream),
        group=kit.group,
        consumer="reader",
        failures_key=failures,
    )
    letters = DeadLetters(
        kit.connections,
        stream=kit.stream,
        group=kit.group,
        failures_key=failures,
        clock=SystemClock(),
        max_length=10,
    )
    entries = await pending.page(None, count=10)
    (work,) = await pending.claim(entries, lease=mine)
    letter = letters.letter(work, Flaw(Reason.REJECTED, "no"))
    await kit.commands.set(mine.key, "another")
    with pytest.raises(LeaseLost):
        await pending.claim(entries, lease=mine)
    with pytest.raises(LeaseLost):
        await letters.write(letter, work, mine)
    assert await kit.dead_length() == 0
    (entry,) = await pending.page(None, count=10)
    assert entry.deliveries == 2


async def test_entries_that_were_trimmed_while_pending_are_left_out(kit: StreamKit) -> None:
    ids = await kit.publish(kit.event("gone"), kit.event("there"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "c", {kit.stream: ">"})
    await kit.commands.xdel(kit.stream, ids[0])
    pending = PendingList(
        kit.connections,
        source=Source(kit.stream),
        group=kit.group,
        consumer="reader",
        failures_key="none",
    )
    works = await pending.claim(await pending.page(None, count=10), lease=None)
    assert [work.event.id for work in works if work.event] == ["there"]
    assert await kit.pending() == 1


def test_an_entry_with_several_fields_is_shown_whole_in_its_letter() -> None:
    work = work_from_entry(b"1-0", [b"a", b"1", b"b", b"2"], Source("events"))
    assert work.body == b"a 1 b 2"
    assert work.flaw is not None
    assert work.flaw.reason is Reason.MALFORMED
