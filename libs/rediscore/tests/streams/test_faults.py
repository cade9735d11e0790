"""What Redis can do to a reader, and how soon it is back."""

import asyncio
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.streams import ReliableStreams
from rediscore.testing import FaultProxy, ServerUnderTest, eventually
from rediscore.testing.streams import Recorder, StreamKit, assert_in_order

pytestmark = pytest.mark.proves("R18")


def status(streams: ReliableStreams, kit: StreamKit) -> str:
    return streams.checks()[kit.stream].status


async def reading(streams: ReliableStreams, kit: StreamKit, within: float = 40) -> None:
    await eventually(lambda: status(streams, kit) == "reading", within=within, what="reading")


async def test_an_idle_group_is_made_again(kit: StreamKit, recorder: Recorder) -> None:
    streams = await kit.read(recorder)
    await reading(streams, kit)
    assert await kit.commands.delete(kit.stream) == 1

    async def back() -> bool:
        return bool(await kit.commands.exists(kit.stream) and await kit.commands.xinfo_groups(kit.stream))

    await eventually(back)


async def test_what_runs_while_the_stream_vanishes_is_not_run_twice(kit: StreamKit) -> None:
    calls: list[str] = []
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        calls.append(event.id)
        await go_on.wait()

    await kit.publish(kit.event("slow"))
    await kit.read(handler)
    await eventually(lambda: calls == ["slow"])
    await kit.commands.xgroup_destroy(kit.stream, kit.group)
    await kit.publish(kit.event("other", "s2"))
    await eventually(lambda: "other" in calls)
    go_on.set()
    await kit.settled()
    assert sorted(calls) == ["other", "slow"]


async def test_forgotten_scripts_are_loaded_again(kit: StreamKit, recorder: Recorder) -> None:
    await kit.read(recorder)
    await kit.publish(kit.event("before"))
    await eventually(lambda: "before" in recorder.calls)
    await kit.commands.script_flush()
    await kit.publish(kit.event("after"))
    await eventually(lambda: "after" in recorder.calls)
    await kit.settled()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_reading_goes_on_after_a_restart(
    own_kit: StreamKit, disposable_server: ServerUnderTest, recorder: Recorder, kill: bool
) -> None:
    streams = await own_kit.read(recorder)
    await own_kit.publish(own_kit.event("before"))
    await eventually(lambda: "before" in recorder.calls)
    await asyncio.to_thread(disposable_server.kill if kill else disposable_server.stop)
    await eventually(lambda: status(streams, own_kit) == "down")
    assert "does not answer" in streams.checks()[own_kit.stream].reason
    await asyncio.to_thread(disposable_server.start)

    async def published() -> bool:
        try:
            await own_kit.publish(own_kit.event("after"))
        except OSError:
            return False
        return True

    await eventually(published)
    await eventually(lambda: "after" in recorder.calls)
    await own_kit.settled()
    assert status(streams, own_kit) == "reading"


async def test_starting_while_redis_is_away(
    own_kit: StreamKit, disposable_server: ServerUnderTest, recorder: Recorder
) -> None:
    await own_kit.publish(own_kit.event("kept"))
    # The append-only log is written once a second: a clean stop keeps the event.
    await asyncio.to_thread(disposable_server.stop)
    begun = asyncio.get_running_loop().time()
    streams = await own_kit.read(recorder)
    assert asyncio.get_running_loop().time() - begun < 1  # without waiting for Redis, which would take two
    await eventually(lambda: "does not answer" in streams.checks()[own_kit.stream].reason)
    await asyncio.to_thread(disposable_server.start)
    await eventually(lambda: recorder.ids == ["kept"])
    await own_kit.settled()


async def test_a_key_of_another_type_in_mid_flight(kit: StreamKit, recorder: Recorder) -> None:
    streams = await kit.read(recorder)
    await kit.publish(kit.event("before"))
    await eventually(lambda: "before" in recorder.calls)
    await kit.commands.set(kit.stream, "not a stream")
    await eventually(lambda: status(streams, kit) == "down")
    await kit.commands.delete(kit.stream)
    await kit.publish(kit.event("after"))
    await eventually(lambda: "after" in recorder.calls)


async def test_a_read_whose_answer_is_lost_loses_nothing(
    kit: StreamKit, redis_url: str, fault_proxy: FaultProxy, recorder: Recorder
) -> None:
    """The server has delivered entries that we never saw: they come from the pending list, in order."""
    through_proxy = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    streams = ReliableStreams(through_proxy, group=kit.group, keys=kit.keys)
    streams.subscriber(kit.stream).on_any(recorder)
    await streams.start()
    await reading(streams, kit)
    try:
        fault_proxy.swallow_reply(b"EVALSHA")
        await kit.publish(*(kit.event(f"e{n}", n=n) for n in range(20)))
        await eventually(lambda: len(recorder.events) == 20)
        assert fault_proxy.swallowed == 1
        await kit.settled()
        assert_in_order(recorder.events)
    finally:
        await streams.stop()
        await through_proxy.aclose()


async def test_lost_answers_of_any_command_lose_and_double_nothing(
    kit: StreamKit, redis_url: str, fault_proxy: FaultProxy, recorder: Recorder
) -> None:
    through_proxy = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    streams = ReliableStreams(through_proxy, group=kit.group, keys=kit.keys)
    streams.subscriber(kit.stream, prefetch=4).on_any(recorder)
    await streams.start()
    await reading(streams, kit)
    try:
        for round_, command in enumerate([b"XACK", b"XREAD", b"EVALSHA", b"XACK", b"EVALSHA", b"XPENDING"]):
            lost = fault_proxy.swallowed
            fault_proxy.swallow_reply(command)
            if command == b"XPENDING":
                # Sent after trouble only.
                await kit.commands.xgroup_destroy(kit.stream, kit.group)
                await kit.commands.delete(kit.stream)
            await kit.publish(
                *(kit.event(f"{round_}-{n}", f"s{n % 3}", n=round_ * 10 + n) for n in range(10))
            )
            await eventually(lambda lost=lost: fault_proxy.swallowed > lost)  # type: ignore[misc]
            await kit.settled()
        assert len(recorder.calls) == 60
        assert set(recorder.calls.values()) == {1}
        assert_in_order(recorder.events)
    finally:
        await streams.stop()
        await through_proxy.aclose()


async def test_an_ack_that_cannot_be_sent_is_sent_later(
    kit: StreamKit, redis_url: str, fault_proxy: FaultProxy
) -> None:
    """The connection is gone when the handler ends, and back while the lease still holds."""
    through_proxy = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    streams = ReliableStreams(through_proxy, group=kit.group, keys=kit.keys, lease_ttl=30.0)
    calls: list[str] = []
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        calls.append(event.id)
        await go_on.wait()

    streams.subscriber(kit.stream).on_any(handler)
    await kit.publish(kit.event("a"))
    await streams.start()
    await eventually(lambda: calls == ["a"])
    try:
        fault_proxy.cut()
        go_on.set()
        await eventually(lambda: status(streams, kit) == "down")
        assert await kit.pending() == 1
        fault_proxy.restore()
        await kit.settled()
        await kit.publish(kit.event("b"))
        await eventually(lambda: "b" in calls)
        assert calls == ["a", "b"]
    finally:
        await streams.stop()
        await through_proxy.aclose()


async def test_a_hanging_server_is_not_called_healthy(
    kit: StreamKit, redis_url: str, fault_proxy: FaultProxy, recorder: Recorder
) -> None:
    through_proxy = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    streams = ReliableStreams(through_proxy, group=kit.group, keys=kit.keys, lease_ttl=1.0)
    streams.subscriber(kit.stream).on_any(recorder)
    await streams.start()
    await reading(streams, kit)
    try:
        fault_proxy.pause()
        await eventually(lambda: status(streams, kit) == "down", within=6.0)
        fault_proxy.resume()
        await kit.publish(kit.event("after"))
        await eventually(lambda: "after" in recorder.calls)
        await reading(streams, kit)
    finally:
        await streams.stop()
        await through_proxy.aclose()


async def test_an_idle_reader_is_cheap(own_kit: StreamKit, recorder: Recorder) -> None:
    streams = ReliableStreams(own_kit.connections, group=own_kit.group, keys=own_kit.keys)
    streams.subscriber(own_kit.stream).on_any(recorder)
    await streams.start()
    await reading(streams, own_kit)
    before = (await own_kit.commands.info("stats"))["total_commands_processed"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.0):
            await asyncio.Event().wait()
    after = (await own_kit.commands.info("stats"))["total_commands_processed"]
    await streams.stop()
    # Each 0.8 s two round trips, XREAD and EVALSHA; the three commands in the script count too.
    assert after - before < 18
