"""Hints over pub/sub: heard while one listens, never in the way, back after a cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.pubsub import LiveChannels
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, eventually

Listening = Callable[..., Awaitable[None]]

pytestmark = pytest.mark.proves("R19")


async def collect(hints: AsyncIterator[dict[str, Any]], into: list[dict[str, Any]]) -> None:
    async for hint in hints:
        into += [hint]


async def test_all_listeners_hear_over_one_connection(
    connections: RedisConnections, key_prefix: str, listening: Listening
) -> None:
    live = LiveChannels(connections)
    heard: list[list[dict[str, Any]]] = [[], [], []]
    channels = [f"{key_prefix}.a", f"{key_prefix}.a", f"{key_prefix}.b"]
    tasks = [
        asyncio.create_task(collect(live.listen(channel), into))
        for channel, into in zip(channels, heard, strict=True)
    ]
    await listening(f"{key_prefix}.a")
    await listening(f"{key_prefix}.b")
    await live.notify(f"{key_prefix}.a", {"order": "1"})
    await eventually(lambda: heard[:2] == [[{"order": "1"}]] * 2)
    assert heard[2] == []
    await connections.commands.publish(f"{key_prefix}.b", b"\xff no JSON")
    await eventually(lambda: heard[2] == [{}])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await live.aclose()
    await listening(f"{key_prefix}.a", 0)


async def test_the_last_listener_leaves_nothing_behind(
    connections: RedisConnections, key_prefix: str, listening: Listening
) -> None:
    live = LiveChannels(connections)
    async with aclosing(live.listen(key_prefix)) as hints:
        first = asyncio.ensure_future(anext(hints))
        await listening(key_prefix)
        await live.notify(key_prefix, {"n": 1})
        assert await first == {"n": 1}
    await listening(key_prefix, 0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "live-channels"]
    # And it can be used again.
    async with aclosing(live.listen(key_prefix)) as hints:
        second = asyncio.ensure_future(anext(hints))
        await listening(key_prefix)
        await live.notify(key_prefix, {"n": 2})
        assert await second == {"n": 2}


@pytest.mark.parametrize("how", ["reset", "cut"])
async def test_after_a_cut_listeners_are_told_to_look_again(
    how: str,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    connections: RedisConnections,
    key_prefix: str,
    listening: Listening,
) -> None:
    live = LiveChannels(through_proxy)
    heard: list[dict[str, Any]] = []
    task = asyncio.create_task(collect(live.listen(key_prefix), heard))
    await listening(key_prefix)
    if how == "reset":
        fault_proxy.reset()
    else:
        fault_proxy.cut()
        await listening(key_prefix, 0)
        fault_proxy.restore()
    await eventually(lambda: heard == [{}])
    await listening(key_prefix)
    await LiveChannels(connections).notify(key_prefix, {"n": 1})
    await eventually(lambda: heard == [{}, {"n": 1}])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await live.aclose()


async def test_telling_never_raises_and_never_blocks_the_slow(
    connections: RedisConnections, key_prefix: str, listening: Listening
) -> None:
    nowhere = RedisConnections(RedisSettings.from_url("redis://127.0.0.1:1"))
    await LiveChannels(nowhere).notify("channel", {"n": 1})
    await nowhere.aclose()

    live = LiveChannels(connections)
    async with aclosing(live.listen(key_prefix)) as hints:
        first = asyncio.ensure_future(anext(hints))
        await listening(key_prefix)
        for n in range(300):
            await live.notify(key_prefix, {"n": n})
        await first
        last: dict[str, Any] = {}
        heard = 0
        while last.get("n") != 299:
            last = await anext(hints)
            heard += 1
        # Of what it was too slow for, the newest hundred are there.
        assert heard <= 299
