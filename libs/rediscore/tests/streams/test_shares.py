"""Partitions among replicas: as many each, handed over when one comes, stops or dies."""

import asyncio
from typing import Any

import pytest
from rediscore.streams import ReliableStreams, partition_of, stream_names
from rediscore.streams.shares import FairShare
from rediscore.testing import ManualClock, eventually
from rediscore.testing.streams import Recorder, StreamKit, assert_in_order

pytestmark = pytest.mark.proves("R18")


async def replica(
    kit: StreamKit, name: str, handler: Any, *, partitions: int = 4, lease_ttl: float = 120.0
) -> ReliableStreams:
    streams = kit.streams(consumer=name, lease_ttl=lease_ttl)
    streams.subscriber(kit.stream, partitions=partitions).on_any(handler)
    await streams.start()
    return streams


def reads(streams: ReliableStreams) -> int:
    return [check.status for check in streams.checks().values()].count("reading")


async def tell(kit: StreamKit, numbers: range, partitions: int = 4) -> None:
    names = stream_names(kit.stream, partitions)
    for n in numbers:
        subject = f"s{n % 16}"
        await kit.publish(kit.event(f"e{n}", subject, n=n), stream=names[partition_of(subject, partitions)])


async def test_who_comes_later_gets_a_share_and_leaves_it_at_once(kit: StreamKit, recorder: Recorder) -> None:
    first = await replica(kit, "first", recorder)
    await eventually(lambda: reads(first) == 4)
    second = await replica(kit, "second", recorder)
    await eventually(lambda: (reads(first), reads(second)) == (2, 2))
    third = await replica(kit, "third", recorder)
    await eventually(lambda: sorted(map(reads, (first, second, third))) == [1, 1, 2])
    assert all(check.healthy for check in third.checks().values())
    # One stops in good order: nobody waits for its lease, or for its share, to run out.
    await tell(kit, range(16))
    await second.stop()
    await eventually(lambda: reads(first) == reads(third) == 2)
    await tell(kit, range(16, 32))
    await eventually(lambda: len(recorder.events) == 32)
    assert_in_order(recorder.events)
    assert set(recorder.calls.values()) == {1}


async def test_a_partition_that_is_given_up_ends_what_runs_first(kit: StreamKit) -> None:
    log: list[str] = []
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        log.append(f"start {event.id}")
        await go_on.wait()
        log.append(f"end {event.id}")

    await tell(kit, range(8))
    first = await replica(kit, "first", handler)
    await eventually(lambda: len(log) == 8)
    second = await replica(kit, "second", handler)
    # Its share is known to the first, which waits for its handlers.
    await eventually(lambda: all(check.status == "standby" for check in second.checks().values()))
    await asyncio.sleep(0.6)
    assert (reads(second), len(log)) == (0, 8)
    go_on.set()
    await eventually(lambda: (reads(first), reads(second)) == (2, 2))
    assert len(log) == 16


async def test_the_partitions_of_a_killed_replica_are_read_by_the_others(
    kit: StreamKit, recorder: Recorder
) -> None:
    """As after kill -9: it neither leaves nor gives its leases back."""
    first = await replica(kit, "first", recorder, lease_ttl=2.0)
    second = await replica(kit, "second", recorder, lease_ttl=2.0)
    await eventually(lambda: (reads(first), reads(second)) == (2, 2))
    tasks = list(second._tasks)
    for task in tasks:
        task.cancel()
    second._shares.clear()
    await asyncio.gather(*tasks, return_exceptions=True)
    await tell(kit, range(16))
    await eventually(lambda: reads(first) == 4)
    await eventually(lambda: len(recorder.events) == 16)


async def test_the_shares_are_all_partitions_and_no_more(kit: StreamKit) -> None:
    clock = ManualClock()
    for partitions in (2, 3, 7):
        for replicas in (1, 2, 3, 5):
            key = f"{kit.prefix}:{partitions}:{replicas}"
            shares = [
                FairShare(kit.connections, key, member=f"m{n}", ttl=30.0, partitions=partitions, clock=clock)
                for n in range(replicas)
            ]
            for share in shares:
                await share.refresh()
            await clock.advance(2.0)
            for share in shares:
                await share.refresh()
            limits = [share.limit for share in shares]
            assert sum(limits) == partitions
            assert max(limits) - min(limits) <= 1
            await shares[0].leave()
            await clock.advance(2.0)
            for share in shares:
                await share.refresh()
            assert sum(share.limit for share in shares[1:]) == (partitions if replicas > 1 else 0)
