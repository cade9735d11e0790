"""Invalidations on the connection of the reads: none is missed, none comes late, silence is told."""

import asyncio
import random
import time
from collections.abc import Sequence

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.multiplexing import Multiplexer
from rediscore.multiplexing.feed import SharedFeed
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually, patient_settings


class Store:
    """The least that a local cache must do: keep a reply only if its key was not invalidated since."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.reserved: dict[bytes, object] = {}
        self.live = False
        self.told: list[str] = []
        self.keys: list[bytes] = []
        self.resumed_at = self.interrupted_at = 0.0

    def invalidated(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            self.told.append("all")
            self.values.clear()
            self.reserved.clear()
            return
        self.keys += keys
        for key in keys:
            self.values.pop(key, None)
            self.reserved.pop(key, None)

    def interrupted(self) -> None:
        assert self.live, "told twice"
        self.live = False
        self.interrupted_at = time.monotonic()
        self.told.append("interrupted")
        self.values.clear()
        self.reserved.clear()

    def resumed(self) -> None:
        if self.live:
            return  # said again
        self.live = True
        self.resumed_at = time.monotonic()
        self.told.append("resumed")

    async def read(self, connections: RedisConnections, key: bytes) -> bytes | None:
        if key in self.values:
            return self.values[key]
        mine = object()
        if self.live:
            self.reserved[key] = mine
        value: bytes | None = await connections.execute("GET", key, idempotent=True)
        if value is not None and self.reserved.get(key) is mine:
            self.values[key] = value
        return value


def multiplexer(connections: RedisConnections) -> Multiplexer:
    assert isinstance(connections._transport, Multiplexer)
    return connections._transport


@pytest.mark.proves("C4", "R7")
async def test_the_feed_is_on_the_connection_of_the_reads(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    store = Store()
    shared.invalidations.watch(f"{key_prefix}:", store)
    await eventually(lambda: store.live)

    await connections.execute("SET", f"{key_prefix}:a", 1, "PX", 5000)
    await connections.execute("SET", f"other-{key_prefix}", 1, "PX", 5000)
    await shared.execute("DEL", f"{key_prefix}:a", f"{key_prefix}:b")
    await eventually(lambda: len(store.keys) >= 2)

    assert set(store.keys) == {f"{key_prefix}:a".encode()}
    assert store.told == ["resumed"]
    clients = [c for c in await connections.commands.client_list() if c["name"] == key_prefix]
    assert len(clients) == 1
    assert "t" in clients[0]["flags"]
    assert "B" in clients[0]["flags"]


@pytest.mark.proves("C4", "R7")
async def test_an_invalidation_is_known_before_the_reply_to_a_later_read(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    """And the reply to an earlier read comes before it: both travel on one connection."""
    store = Store()
    key = f"{key_prefix}:k"
    shared.invalidations.watch(f"{key_prefix}:", store)
    await eventually(lambda: store.live)
    await shared.execute("SET", key, -1)
    for number in range(200):
        reads = [shared.execute("GET", key) for _ in range(3)]
        write = connections.execute("SET", key, number, "PX", 5000)
        *_, _ = await asyncio.gather(*reads, write)
        store.keys.clear()
        await connections.execute("SET", key, number + 0.5, "PX", 5000)
        assert await shared.execute("GET", key) == str(number + 0.5).encode()
        assert key.encode() in store.keys, "the reply has overtaken the invalidation"


@pytest.mark.proves("C4", "R7")
async def test_at_rest_no_stored_value_is_old(
    redis_url: str, connections: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    """Writers, readers, slow replies and cut connections; afterwards what is stored is what Redis has."""
    settings = RedisSettings.from_url(fault_proxy.url(redis_url), transport="multiplexed", retries=50)
    through = RedisConnections(settings)
    store = Store()
    keys = [f"{key_prefix}:{n}".encode() for n in range(20)]
    through.invalidations.watch(f"{key_prefix}:", store)
    chance, stop, reads = random.Random(7), False, 0

    async def write(own: RedisConnections) -> None:
        while not stop:
            await own.execute("SET", chance.choice(keys), chance.random(), "PX", 30_000)
            if chance.random() < 0.05:
                await asyncio.sleep(0.001)

    async def read() -> None:
        nonlocal reads
        while not stop:
            await store.read(through, chance.choice(keys))
            reads += 1
            if chance.random() < 0.2:
                await asyncio.sleep(0)

    try:
        tasks = [
            *(asyncio.create_task(write(own)) for own in (connections, connections, through)),
            *(asyncio.create_task(read()) for _ in range(20)),
        ]
        for fault in ("", "slow", "reset", "", "reset"):
            fault_proxy.latency = 0.003 if fault == "slow" else 0.0
            if fault == "reset":
                fault_proxy.reset()
            await asyncio.sleep(0.3)
        stop = True
        # The writer through the proxy may have lost its connection: that is the fault, not a failure.
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(r is None or isinstance(r, redis.exceptions.ConnectionError) for r in results), results
        await eventually(lambda: store.live)
        for key in keys:
            await store.read(through, key)
        await through.execute("PING", idempotent=True)

        assert reads > 100
        assert store.told.count("interrupted") >= 2
        assert store.values, "nothing was stored, so nothing is proven"
        for key, value in store.values.items():
            assert await connections.execute("GET", key) == value
    finally:
        await through.aclose()
        await connections.execute("DEL", *keys)


@pytest.mark.proves("C4", "R7")
async def test_the_end_of_the_connection_is_told_before_any_caller_hears_of_it(
    flaky: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    store = Store()
    flaky.invalidations.watch(f"{key_prefix}:", store)
    await eventually(lambda: store.live)
    fault_proxy.swallow_reply(after=b"INCR")

    try:
        await flaky.execute("INCR", f"{key_prefix}:n")
    except redis.exceptions.ConnectionError:
        assert not store.live
    else:
        pytest.fail("the reply was to be lost")

    # Without any command: somebody watches.
    await eventually(lambda: store.live)
    assert store.told == ["resumed", "interrupted", "resumed"]


@pytest.mark.proves("C4", "R7")
async def test_silence_is_told_within_two_seconds_and_ends_with_the_next_word(
    redis_url: str, connections: RedisConnections, key_prefix: str, fault_proxy: FaultProxy
) -> None:
    """Although commands are patient: the connection stays, and nothing that it says is lost."""
    through = RedisConnections(
        RedisSettings.from_url(fault_proxy.url(redis_url), transport="multiplexed", socket_timeout=30)
    )
    store = Store()
    try:
        through.invalidations.watch(f"{key_prefix}:", store)
        await eventually(lambda: store.live)
        await asyncio.sleep(1.8)
        assert store.told == ["resumed"], "a quiet connection that answers is not a silent one"
        connection = multiplexer(through)._connection
        fault_proxy.pause()
        began = time.monotonic()

        await eventually(lambda: not store.live)

        assert store.interrupted_at - began < 2.5
        await connections.execute("SET", f"{key_prefix}:a", 1, "PX", 5000)
        fault_proxy.resume()
        await eventually(lambda: store.live)
        await eventually(lambda: f"{key_prefix}:a".encode() in store.keys)
        assert multiplexer(through)._connection is connection
    finally:
        fault_proxy.resume()
        await through.aclose()


@pytest.mark.proves("R7")
async def test_prefixes_come_and_go(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    one, two, three, narrow = Store(), Store(), Store(), Store()
    feed = shared.invalidations
    feed.watch(f"{key_prefix}:1:", one)
    await eventually(lambda: one.live)
    feed.watch(f"{key_prefix}:2:", two)
    await eventually(lambda: two.live)
    assert one.told == ["resumed"], "another prefix disturbs nobody"
    for overlapping in (f"{key_prefix}:", f"{key_prefix}:2:x"):
        with pytest.raises(ValueError, match="overlaps"):
            feed.watch(overlapping, Store())

    feed.unwatch(f"{key_prefix}:2:")
    feed.watch(f"{key_prefix}:2:n", narrow)  # of what the server still tracks
    feed.watch(f"{key_prefix}:3:", three)
    await eventually(lambda: one.live and narrow.live and three.live)
    for key in ("1:a", "2:a", "2:n", "3:a"):
        await connections.execute("SET", f"{key_prefix}:{key}", 1, "PX", 5000)
    await eventually(lambda: three.keys)

    heard = [
        [key.decode().removeprefix(f"{key_prefix}:") for key in s.keys] for s in (one, two, narrow, three)
    ]
    assert heard == [["1:a"], [], ["2:n"], ["3:a"]]
    assert two.told == ["resumed"]

    for prefix in ("1:", "2:n", "3:"):
        feed.unwatch(f"{key_prefix}:{prefix}")
    await shared.execute("PING")
    info = await shared.execute("CLIENT", "TRACKINGINFO")
    assert b"off" in info[b"flags"], "nobody watches: the server need not tell"


class Server:
    """Stands for a connection; answers when the test says so."""

    def __init__(self) -> None:
        self.replies: list[asyncio.Future[object]] = []

    def send(self, packed: bytes) -> asyncio.Future[object]:
        self.replies.append(asyncio.get_running_loop().create_future())
        return self.replies[-1]


@pytest.mark.proves("R7")
async def test_only_the_last_word_of_the_server_counts() -> None:
    """Off, on, off, on in one go: between the first on and the second off nothing is certain."""
    server, feed = Server(), SharedFeed(lambda: None)
    one, two, three = Store(), Store(), Store()
    feed.watch("a:", one)
    feed.watch("b:", Store())
    feed.connected(server)  # type: ignore[arg-type]
    server.replies[0].set_result(b"OK")
    await eventually(lambda: one.live)
    for store in (two, three):
        feed.unwatch("a:")
        feed.watch("a:", store)
    for reply in server.replies[1:3]:
        reply.set_result(b"OK")
    await asyncio.sleep(0.01)

    assert not three.live

    for reply in server.replies[3:]:
        reply.set_result(b"OK")
    await eventually(lambda: three.live)
    assert two.told == []


@pytest.mark.proves("R7")
async def test_refused_tracking_leaves_listeners_interrupted_and_commands_alone(
    disposable_server: ServerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    admin = RedisConnections(patient_settings(disposable_server.url))
    await admin.execute("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-client|tracking")
    settings = patient_settings(disposable_server.url)
    connections = RedisConnections(
        RedisSettings.from_url(f"redis://reader:secret@127.0.0.1:{settings.port}", transport="multiplexed")
    )
    store = Store()
    try:
        connections.invalidations.watch("a:", store)
        assert await connections.execute("SET", "a:1", 1) == b"OK"
        await eventually(lambda: "tracking is refused" in caplog.text)
        assert not store.live
    finally:
        await connections.aclose()
        await admin.aclose()


@pytest.mark.proves("R7")
async def test_everything_wiped_is_told(disposable_server: ServerUnderTest) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url, transport="multiplexed"))
    store = Store()
    try:
        connections.invalidations.watch("", store)
        await eventually(lambda: store.live)
        await connections.execute("FLUSHALL")
        await connections.execute("PING")
        await eventually(lambda: "all" in store.told)
    finally:
        await connections.aclose()


@pytest.mark.proves("T2")
async def test_pushes_do_not_disturb_replies(
    shared: RedisConnections, connections: RedisConnections, key_prefix: str
) -> None:
    store = Store()
    shared.invalidations.watch(f"{key_prefix}:", store)
    await eventually(lambda: store.live)

    async def write() -> None:
        for n in range(500):
            await connections.execute("SET", f"{key_prefix}:{n % 7}", n, "PX", 5000)

    async def ask(number: int) -> None:
        for n in range(100):
            assert await shared.execute("ECHO", f"{number}:{n}") == f"{number}:{n}".encode()

    await asyncio.gather(write(), *(ask(number) for number in range(50)))
    await eventually(lambda: len(set(store.keys)) == 7)
