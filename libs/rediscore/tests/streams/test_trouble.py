"""Errors that Redis goes on answering with: told, counted, no hot loop, and over when they are over."""

import asyncio

import pytest
from rediscore.streams.subscriber import Mode
from rediscore.testing import ServerUnderTest, eventually
from rediscore.testing.streams import Recorder, StreamKit

pytestmark = [pytest.mark.proves("R18"), pytest.mark.parametrize("mode", ["ordered", "competing"])]


async def commands_in_two_seconds(kit: StreamKit) -> int:
    """Those inside scripts count too."""

    async def so_far() -> int:
        stats = await kit.commands.info("commandstats")
        ours = ("evalsha", "eval", "xread", "xgroup", "xinfo", "xpending", "xclaim", "get")
        names = [name for name in stats if name.removeprefix("cmdstat_").startswith(ours)]
        return sum(stats[name]["calls"] for name in names)

    before = await so_far()
    await asyncio.sleep(2.0)
    return await so_far() - before


async def test_a_key_that_is_no_stream(own_kit: StreamKit, recorder: Recorder, mode: Mode) -> None:
    kit = own_kit
    await kit.commands.set(kit.stream, "not a stream")
    streams = await kit.read(recorder, mode=mode)
    await eventually(lambda: "something else than a stream" in streams.checks()[kit.stream].reason)
    # FastStream sends thousands per second here.
    assert await commands_in_two_seconds(kit) < 60
    assert streams.checks()[kit.stream].status == "down"
    await kit.commands.delete(kit.stream)
    await kit.publish(kit.event("after"))
    await eventually(lambda: recorder.ids == ["after"])
    await eventually(lambda: streams.checks()[kit.stream].status == "reading")


async def test_a_primary_that_became_a_replica(
    own_kit: StreamKit, disposable_server: ServerUnderTest, recorder: Recorder, mode: Mode
) -> None:
    kit = own_kit
    streams = await kit.read(recorder, mode=mode)
    await kit.publish(kit.event("before"))
    await kit.settled()
    await kit.commands.execute_command("REPLICAOF", "127.0.0.1", "1")
    await eventually(lambda: "became a replica" in streams.checks()[kit.stream].reason, within=40)
    assert await commands_in_two_seconds(kit) < 60
    await kit.commands.execute_command("REPLICAOF", "NO", "ONE")
    await kit.publish(kit.event("after"))
    await eventually(lambda: recorder.ids == ["before", "after"], within=40)
    await eventually(lambda: streams.checks()[kit.stream].status == "reading")
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("stream-")]) == 1
