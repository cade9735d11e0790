"""Subscriptions: heard from the confirmation on, told of what may be missing, shared, and typed."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from redis.exceptions import ConnectionError as RedisConnectionError
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.pubsub import MISSED, LiveChannels, Topic, hub
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, eventually
from rediscore.transport import ServerConnection

pytestmark = pytest.mark.proves("R19")


class Opened(BaseModel):
    name: str
    until: int


async def test_everything_said_after_entering_is_heard(
    connections: RedisConnections, key_prefix: str
) -> None:
    channels = LiveChannels(connections)
    for n in range(20):  # each enters and leaves, so confirmations of old and new subscriptions cross
        async with channels.subscription(key_prefix) as messages:
            await channels.publish(key_prefix, str(n))
            await channels.publish(key_prefix, b"\xff")
            assert await anext(messages) == str(n).encode()
            assert await anext(messages) == b"\xff"


async def test_channels_come_and_go_at_once_beside_another(
    connections: RedisConnections, key_prefix: str
) -> None:
    """The connection is open and quiet: no time to wait for its next look."""
    channels = LiveChannels(connections)
    async with channels.subscription(f"{key_prefix}.quiet"):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for n in range(20):
            async with channels.subscription(f"{key_prefix}.{n % 2}") as messages:
                await channels.publish(f"{key_prefix}.{n % 2}", str(n))
                assert await anext(messages) == str(n).encode()
        assert loop.time() - begun < 5  # a look per second would take 20


async def test_a_channel_left_and_joined_in_one_moment_is_confirmed_again(
    connections: RedisConnections,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The late confirmation of the first subscription is not taken for that of the second."""
    sent: list[str | bytes] = []

    async def slow(connection: ServerConnection, *command: str | bytes) -> None:
        sent.append(command[0])
        if sent.count("SUBSCRIBE") == 3:  # the network has it, the server not yet
            await asyncio.sleep(0.3)
        await send(connection, *command)

    send = hub._send
    monkeypatch.setattr(hub, "_send", slow)
    channels = LiveChannels(through_proxy)
    async with channels.subscription(f"{key_prefix}.other"):
        fault_proxy.latency = 0.15
        entering = asyncio.create_task(channels.subscription(key_prefix).__aenter__())
        await asyncio.sleep(0.02)
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        await asyncio.sleep(0.02)
        async with channels.subscription(key_prefix) as messages:
            await LiveChannels(connections).publish(key_prefix, "heard")
            assert await asyncio.wait_for(anext(messages), 5) == b"heard"
    assert sent[:4] == ["SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]


async def test_all_channels_of_a_process_share_a_connection(
    connections: RedisConnections, key_prefix: str
) -> None:
    async def subscribers() -> int:
        clients = await connections.execute("CLIENT", "LIST", "TYPE", "PUBSUB")
        return len(clients.splitlines())

    before = await subscribers()
    async with AsyncExitStack() as stack:
        for n in range(10):
            await stack.enter_async_context(LiveChannels(connections).subscription(f"{key_prefix}.{n}"))
        assert await subscribers() == before + 1
    await eventually(lambda: _is(subscribers, before))


async def _is(what: Any, value: int) -> bool:
    return bool(await what() == value)


async def test_missed_stands_where_messages_may_be_missing(
    connections: RedisConnections, through_proxy: RedisConnections, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    channels = LiveChannels(through_proxy)
    said = LiveChannels(connections)
    async with channels.subscription(key_prefix) as messages:
        await said.publish(key_prefix, "before")
        assert await anext(messages) == b"before"
        fault_proxy.cut()
        await said.publish(key_prefix, "lost")
        fault_proxy.restore()
        assert await anext(messages) is MISSED
        await said.publish(key_prefix, "after")
        assert await anext(messages) == b"after"


async def test_a_silently_dead_connection_is_noticed(
    connections: RedisConnections,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network hangs: nothing arrives, and nothing ends the connection."""
    monkeypatch.setattr("rediscore.pubsub.hub.SILENCE", 0.3)
    channels = LiveChannels(through_proxy)
    async with channels.subscription(key_prefix) as messages:
        before = set(fault_proxy.links)
        fault_proxy.pause()
        await eventually(lambda: fault_proxy.links - before, within=40, what="a new connection")
        fault_proxy.resume()
        assert await anext(messages) is MISSED
        await LiveChannels(connections).publish(key_prefix, "after")
        assert await anext(messages) == b"after"


async def test_a_quiet_connection_is_kept(
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rediscore.pubsub.hub.SILENCE", 0.1)
    channels = LiveChannels(through_proxy)
    async with channels.subscription(key_prefix) as messages:
        links = set(fault_proxy.links)
        await asyncio.sleep(0.8)  # eight silences
        assert links <= fault_proxy.links
        await channels.publish(key_prefix, "still here")
        assert await anext(messages) == b"still here"


async def test_the_slow_reader_keeps_the_newest_and_knows(
    connections: RedisConnections, key_prefix: str
) -> None:
    channels = LiveChannels(connections)
    async with channels.subscription(key_prefix) as slow, channels.subscription(key_prefix) as quick:
        heard = []
        for n in range(250):
            await channels.publish(key_prefix, str(n))
            heard += [await anext(quick)]
        assert heard == [str(n).encode() for n in range(250)]
        assert await anext(slow) is MISSED
        rest = [await anext(slow) for _ in range(99)]
        assert rest == [str(n).encode() for n in range(151, 250)]


async def test_no_server_no_subscription() -> None:
    nowhere = RedisConnections(RedisSettings.from_url("redis://127.0.0.1:1"))
    channels = LiveChannels(nowhere)
    with pytest.raises(RedisConnectionError, match=r"No subscription to channel: .*127\.0\.0\.1:1"):
        async with channels.subscription("channel", timeout=timedelta(seconds=0.3)):
            pass
    with pytest.raises(RedisConnectionError):
        await channels.publish("channel", "message")
    await nowhere.aclose()


async def test_closing_ends_the_listeners(connections: RedisConnections, key_prefix: str) -> None:
    channels, other = LiveChannels(connections), LiveChannels(connections)
    async with channels.subscription(key_prefix) as messages, other.subscription(key_prefix) as others:
        await channels.publish(key_prefix, "last")
        await asyncio.sleep(0.1)
        await channels.aclose()
        assert [message async for message in messages] == [b"last"]
        await other.publish(key_prefix, "more")
        assert [await anext(others), await anext(others)] == [b"last", b"more"]


async def test_typed_messages_and_what_cannot_be_read(connections: RedisConnections, key_prefix: str) -> None:
    metrics = Metrics()
    channels = LiveChannels(connections)
    topic = Topic(channels, key_prefix, Opened, metrics=metrics)
    async with topic.subscription() as messages:
        await topic.publish(Opened(name="a", until=1))
        await channels.publish(key_prefix, b'{"name": "from an older sender"}')
        await channels.publish(key_prefix, b"\xff")
        await topic.publish(Opened(name="b", until=2))
        assert [await anext(messages), await anext(messages)] == [
            Opened(name="a", until=1),
            Opened(name="b", until=2),
        ]
    assert metrics.meter("pubsub", key_prefix).counts == {"published": 2, "received": 2, "unreadable": 2}


async def test_listening_to_a_topic(
    connections: RedisConnections,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    key_prefix: str,
    listening: Any,
) -> None:
    said = Topic(LiveChannels(connections), key_prefix, int)
    async with aclosing(Topic(LiveChannels(through_proxy), key_prefix, int).listen()) as numbers:
        first = asyncio.ensure_future(anext(numbers))
        await listening(key_prefix)
        await said.publish(1)
        assert await first == 1
        fault_proxy.reset()
        assert await anext(numbers) is MISSED
        await said.publish(2)
        assert await anext(numbers) == 2
