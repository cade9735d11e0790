"""Several instances of a consumer, and one that dies: every event still has one effect."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from pizzeria_chassis.inbox import Inbox
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.testing.events import (
    STARTED,
    MakeReplica,
    Replica,
    Upstream,
    at_head,
    handle_all,
    in_sequence,
    note_effect,
    tell_orders,
)
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.streams import KITCHEN
from rediscore.settings import RedisSettings
from rediscore.streams.event import CloudEvent
from rediscore.testing import eventually
from rediscore.testing.nursery import Nursery

PROCESS = Path(__file__).parent / "consumer_process.py"


@pytest.mark.proves("I9")
async def test_the_same_event_at_the_same_moment_in_two_replicas_has_one_effect(
    replica: MakeReplica, upstream: Upstream
) -> None:
    one, two = await replica(), await replica()
    event = (await upstream.tell(STARTED)).model_copy(update={"position": 1})

    async def slow(tx: Transaction, event: CloudEvent[Any]) -> None:
        await asyncio.sleep(0.05)
        await note_effect(tx, event)

    applied = await asyncio.gather(
        *(Inbox(each.database, KITCHEN).apply(event, slow) for each in (one, two, one, two))
    )
    assert sorted(applied) == [False, False, False, True]
    assert len(await one.effects()) == 1


@pytest.mark.proves("I5", "I9")
async def test_killed_between_effect_and_acknowledgement(
    nursery: Nursery,
    replica: MakeReplica,
    upstream: Upstream,
    database_url: str,
    own_redis: RedisSettings,
    redis_url: str,
) -> None:
    survivor = await replica(lease=1.0)
    for number in range(3):
        await upstream.tell(STARTED, f"o-{number}")
    process = await nursery.start(PROCESS, database_url, redis_url, own_redis.db, TOKENS["service"])
    assert await process.wait() == -signal.SIGKILL
    effects = await survivor.effects()
    assert len(effects) >= 1, "the fault happened after a commit"
    pending: Any = await upstream.connections.commands.xpending(KITCHEN, "order")
    assert pending["pending"] >= 1, "and before its acknowledgement"
    handle_all(survivor)
    await survivor.start()
    await at_head(survivor, upstream)
    assert sorted(await survivor.effects()) == [("o-0", 1, 1), ("o-1", 1, 2), ("o-2", 1, 3)]


@pytest.mark.proves("I5", "I7", "I9")
async def test_two_replicas_and_the_reader_goes_away(replica: MakeReplica, upstream: Upstream) -> None:
    one, two = await replica(), await replica()
    for each in (one, two):
        handle_all(each)
        await each.start()
    await tell_orders(upstream, 20)
    await at_head(one, upstream)

    def reading(each: Replica) -> bool:
        return each.streams.checks()[KITCHEN].status == "reading"

    await eventually(lambda: reading(one) or reading(two))
    reader, other = (one, two) if reading(one) else (two, one)
    assert not reading(other)
    await tell_orders(upstream, 10)
    await reader.streams.stop(1.0)
    await tell_orders(upstream, 10)
    await eventually(lambda: reading(other), within=30, what="the other reads")
    await at_head(other, upstream)
    effects = await other.effects()
    assert len(effects) == len({position for _, _, position in effects}) == 20
    assert in_sequence(effects)


@pytest.mark.proves("I5")
async def test_two_replicas_share_partitions_and_one_position(
    replica: MakeReplica, upstream: Upstream
) -> None:
    await upstream.relay.stop()
    upstream.relay = Relay(upstream.database, upstream.connections, streams=[KITCHEN], partitions=2)
    await upstream.relay.start()
    one, two = await replica(partitions=2), await replica(partitions=2)
    for each in (one, two):
        handle_all(each)
        await each.start()
    await tell_orders(upstream, 40, subjects=8)
    await at_head(one, upstream)
    effects = await one.effects()
    assert len(effects) == len({position for _, _, position in effects}) == 20
    assert in_sequence(effects)


async def test_what_one_replica_let_pass_beyond_a_gap_another_knows(replica: MakeReplica) -> None:
    one, two = Inbox((await replica()).database, KITCHEN), Inbox((await replica()).database, KITCHEN)
    await one.save_position(1, {3: "e-3", 4: "e-4"})
    assert await two.load() == (1, [3, 4])
    await two.save_position(4, {})
    await one.save_position(2, {})
    assert await two.load() == (4, []), "never back"
