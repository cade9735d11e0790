"""Effects in the same Redis: once under redelivery, whatever is lost on the way."""

import asyncio

import pytest
from redis.exceptions import ResponseError
from rediscore.client import RedisConnections
from rediscore.streams import RedisInbox
from rediscore.testing import FaultProxy
from rediscore.testing.streams import StreamKit

pytestmark = pytest.mark.proves("R18", "X3")


@pytest.fixture
def inbox(kit: StreamKit) -> RedisInbox:
    return RedisInbox(kit.connections, keys=kit.keys, group=kit.group)


async def test_an_event_has_its_effects_once(kit: StreamKit, inbox: RedisInbox) -> None:
    stock, out = f"{kit.prefix}:stock", f"{kit.prefix}:out"
    effects = [("HINCRBY", stock, "olives", -3), ("XADD", out, "*", "a", "b")]
    assert sorted(await asyncio.gather(*(inbox.apply("e1", effects) for _ in range(5)))) == [False] * 4 + [
        True
    ]
    assert await inbox.apply("e2", effects)
    assert await kit.commands.hget(stock, "olives") == b"-6"
    assert await kit.commands.xlen(out) == 2
    # Another group has an effect of its own.
    other = RedisInbox(kit.connections, keys=kit.keys, group="other")
    assert await other.apply("e1", effects)
    assert 0 < await kit.commands.pttl(inbox.mark("e1")) <= 7 * 24 * 3600 * 1000
    with pytest.raises(ValueError, match="at least one command"):
        await inbox.apply("e3", [])


async def test_a_lost_answer_is_asked_for_again(
    kit: StreamKit, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    inbox = RedisInbox(through_proxy, keys=kit.keys, group=kit.group)
    counter = f"{kit.prefix}:counter"
    assert await inbox.apply("known", [("INCR", counter)])
    fault_proxy.swallow_reply(b"EVALSHA")
    # It was applied by the first sending: the second finds the mark.
    assert not await inbox.apply("e1", [("INCR", counter)])
    assert (fault_proxy.swallowed, await kit.commands.get(counter)) == (1, b"2")


async def test_a_wrong_command_is_never_applied_by_halves_twice(kit: StreamKit, inbox: RedisInbox) -> None:
    counter, text = f"{kit.prefix}:counter", f"{kit.prefix}:text"
    await kit.commands.set(text, "no hash")
    wrong = ("HSET", text, "a", "b")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await inbox.apply("first-is-wrong", [wrong, ("INCR", counter)])
    assert await inbox.apply("first-is-wrong", [("INCR", counter)])
    for _ in range(2):
        with pytest.raises(ResponseError, match="half done: command 2"):
            await inbox.apply("second-is-wrong", [("INCR", counter), wrong])
    assert await kit.commands.get(counter) == b"2"
