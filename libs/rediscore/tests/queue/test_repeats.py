"""Every verb is safe to send twice: replies get lost, servers forget scripts, memories get wiped."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.errors import StaleLease
from rediscore.queue import PriorityQueue, QueueStats
from rediscore.scripts import Script
from rediscore.testing import FaultProxy, ServerTime

pytestmark = pytest.mark.proves("R16")

MakeQueue = Callable[..., Any]
Wipe = Callable[[], Awaitable[None]]

VERBS = ["add", "claim", "extend", "ack", "nack", "release", "remove", "recover"]


@pytest.fixture
async def flaky(make_queue: MakeQueue, through_proxy: RedisConnections) -> PriorityQueue:
    """The same queue as `queue`, through the proxy. The server knows the scripts, so what gets lost is
    the reply to an effect, not a NOSCRIPT."""
    for verb in VERBS:
        await through_proxy.commands.script_load(Script.load("rediscore.queue", f"lua/{verb}.lua").source)
    made: PriorityQueue = make_queue(through_proxy)
    return made


@pytest.mark.proves("Q10")
async def test_lost_reply_to_add(flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy) -> None:
    fault_proxy.swallow_reply(after=b"EVAL")

    await flaky.add("a")

    assert fault_proxy.swallowed == 1
    assert (await queue.stats()).ready == 1


@pytest.mark.proves("Q10")
async def test_lost_reply_to_add_of_what_is_done_meanwhile(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy
) -> None:
    """The entry is added, claimed and acked by others before the sender asks again."""
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    await queue.ack("a", claim.token)

    assert not await flaky.add("a")
    assert await queue.claim("w") is None


@pytest.mark.proves("Q10")
async def test_added_by_many_at_once_it_is_there_once(queue: PriorityQueue) -> None:
    added = await asyncio.gather(*(queue.add("a", b"%d" % sender) for sender in range(30)))

    assert sum(added) == 1
    (entry,) = await queue.peek()
    assert entry.payload == b"%d" % added.index(True)


async def test_lost_reply_to_claim(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy
) -> None:
    await queue.add("a")
    await queue.add("b")
    fault_proxy.swallow_reply(after=b"EVAL")

    claim = await flaky.claim("w")

    assert fault_proxy.swallowed == 1
    assert claim is not None
    assert claim.entry_id == "a"
    stats = await queue.stats()
    assert (stats.ready, stats.leased) == (1, 1)
    await flaky.ack("a", claim.token)


async def test_lost_reply_to_ack(flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy) -> None:
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    fault_proxy.swallow_reply(after=b"EVAL")

    await flaky.ack("a", claim.token)

    assert fault_proxy.swallowed == 1
    assert await queue.stats() == QueueStats(0, 0, 0, 0, None)


async def test_lost_reply_to_nack(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy
) -> None:
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    fault_proxy.swallow_reply(after=b"EVAL")

    await flaky.nack("a", claim.token, delay=timedelta(0), reason="burnt")

    assert fault_proxy.swallowed == 1
    (entry,) = await queue.peek()
    assert entry.failures == 1


async def test_lost_reply_to_extend(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy
) -> None:
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    fault_proxy.swallow_reply(after=b"EVAL")

    until = await flaky.extend("a", claim.token)

    assert fault_proxy.swallowed == 1
    assert timedelta(0) < until - claim.lease_until < timedelta(seconds=5)  # one lease from now, not two


async def test_lost_reply_to_release_and_remove(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy
) -> None:
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    fault_proxy.swallow_reply(after=b"EVAL")
    await flaky.release("a", claim.token)
    assert (await queue.stats()).ready == 1
    fault_proxy.swallow_reply(after=b"EVAL")

    assert await flaky.remove("a")  # it was this caller that removed it, lost reply or not

    assert fault_proxy.swallowed == 2
    assert not await queue.remove("a")


async def test_same_claim_id_same_claim(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    await timed.add("b")
    first = await timed.claim("w", claim_id="c1")
    now.advance(seconds=5)

    assert await timed.claim("w", claim_id="c1") == first
    other = await timed.claim("w", claim_id="c2")
    assert other is not None
    assert other.entry_id == "b"


async def test_claim_id_whose_lease_is_over_claims_anew(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    await timed.add("b")
    first = await timed.claim("w", claim_id="c1")
    assert first is not None
    await timed.ack("a", first.token)

    second = await timed.claim("w", claim_id="c1")
    assert second is not None
    assert second.entry_id == "b"
    now.advance(seconds=10)
    third = await timed.claim("w", claim_id="c1")
    assert third is not None
    assert third.entry_id == "b"
    assert third.token > second.token


async def test_repeated_ends_of_a_lease_are_harmless_and_do_not_mix(timed: PriorityQueue) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    await timed.nack("a", claim.token, delay=timedelta(0))
    heir = await timed.claim("heir")
    assert heir is not None

    await timed.nack("a", claim.token)  # late repetition: the heir keeps its lease
    for verb in (timed.ack, timed.release, timed.extend):
        with pytest.raises(StaleLease):
            await verb("a", claim.token)
    await timed.ack("a", heir.token)
    await timed.ack("a", heir.token)
    for name in ("nack", "release", "extend"):
        with pytest.raises(StaleLease):
            await getattr(timed, name)("a", heir.token)


async def test_ack_is_remembered_for_its_time(timed: PriorityQueue, now: ServerTime) -> None:
    await timed.add("a")
    claim = await timed.claim("w")
    assert claim is not None
    await timed.ack("a", claim.token)
    now.advance(minutes=9)
    await timed.ack("a", claim.token)
    now.advance(minutes=2)
    await timed.recover()

    with pytest.raises(StaleLease):
        await timed.ack("a", claim.token)


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_survives_script_flush(
    queue: PriorityQueue, connections: RedisConnections, verb: str
) -> None:
    await queue.add("a")
    claim = None if verb in ("add", "claim", "remove", "recover") else await queue.claim("w")
    others: dict[str, tuple[str, ...]] = {"add": ("b",), "claim": ("w",), "remove": ("a",), "recover": ()}
    await connections.commands.script_flush()

    await getattr(queue, verb)(*others.get(verb, ("a", claim.token if claim else 0)))


@pytest.mark.parametrize("verb", ["extend", "ack", "nack", "release"])
async def test_wiped_between_claim_and_end(queue: PriorityQueue, wipe: Wipe, verb: str) -> None:
    """The queue cannot know any more who held what: it says so, and leaves nothing behind."""
    await queue.add("a")
    claim = await queue.claim("w")
    assert claim is not None
    await wipe()

    with pytest.raises(StaleLease):
        await getattr(queue, verb)("a", claim.token)

    assert await queue.stats() == QueueStats(0, 0, 0, 0, None)
    assert await queue.add("a")  # the owner of the facts puts it back
    again = await queue.claim("w")
    assert again is not None
    assert again.token > claim.token


async def test_wiped_while_the_reply_is_lost(
    flaky: PriorityQueue, queue: PriorityQueue, fault_proxy: FaultProxy, wipe: Wipe
) -> None:
    await queue.add("a")
    fault_proxy.swallow_reply(after=b"EVAL")
    fault_proxy.on_swallow = wipe

    assert await flaky.claim("w") is None

    assert fault_proxy.swallowed == 1
    assert await queue.add("a")
    assert await flaky.claim("w") is not None
