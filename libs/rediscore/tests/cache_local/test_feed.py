"""The feed of changed keys against a real server: what is heard, and what is told when nothing is."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

import pytest
import redis.exceptions
from rediscore.cache.local import MISSING, LocalCache
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually, patient_settings
from rediscore.tracking.link import TrackingLink

from .conftest import followed, hearing, keep, read


class Diary:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.live = False
        self.keys: list[bytes] = []
        self.wiped = 0
        self.told: list[float] = []

    def invalidated(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            self.wiped += 1
        else:
            self.keys += keys

    def interrupted(self) -> None:
        self.live = False

    def resumed(self) -> None:
        self.live = True
        self.told.append(time.monotonic())


async def tracking_clients(connections: RedisConnections) -> list[dict[str, str]]:
    """Connections of the server that track in broadcast mode."""
    lines = (await connections.execute("CLIENT", "LIST")).decode().splitlines()
    rows = [dict(word.split("=", 1) for word in line.split(" ") if "=" in word) for line in lines]
    return [row for row in rows if "B" in row["flags"]]


@pytest.mark.proves("R7")
async def test_writes_deletes_and_expiries_are_heard_of_watched_prefixes_only(
    connections: RedisConnections,
    other: RedisConnections,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rediscore.tracking.link.INTERVAL", 300)
    first, second = Diary(), Diary()
    connections.invalidations.watch(f"{key_prefix}:a:", first)
    await eventually(lambda: first.live)
    connections.invalidations.watch(f"{key_prefix}:b:", second)  # while the feed runs
    await eventually(lambda: second.live, what="told before the next heartbeat")
    for overlapping in (f"{key_prefix}:", f"{key_prefix}:a:", f"{key_prefix}:a:x"):
        with pytest.raises(ValueError, match="overlaps"):
            connections.invalidations.watch(overlapping, Diary())
    for key in ("a:1", "b:1", "c:1", "a:2"):
        await other.execute("SET", f"{key_prefix}:{key}", "x", "PX", 60_000)
    await other.execute("DEL", f"{key_prefix}:a:1")
    await other.execute("PEXPIRE", f"{key_prefix}:a:2", 1)
    await connections.execute("SET", f"{key_prefix}:b:2", "our own", "PX", 60_000)
    expected = [f"{key_prefix}:a:{number}".encode() for number in (1, 2, 1, 2, 2)]
    await eventually(lambda: sorted(first.keys) == sorted(expected), what="each change, and the expiry")
    await eventually(lambda: second.keys == [f"{key_prefix}:b:1".encode(), f"{key_prefix}:b:2".encode()])
    connections.invalidations.unwatch(f"{key_prefix}:a:")
    await other.execute("DEL", f"{key_prefix}:a:2", f"{key_prefix}:b:2")
    await eventually(lambda: len(second.keys) == 3)
    assert len(first.keys) == 5
    again = Diary()
    connections.invalidations.watch(f"{key_prefix}:a:", again)
    await eventually(lambda: again.live, within=40)
    await other.execute("SET", f"{key_prefix}:a:3", "x", "PX", 60_000)
    await eventually(lambda: again.keys == [f"{key_prefix}:a:3".encode()])


@pytest.mark.proves("R7", "C4")
async def test_after_the_connection_was_killed_nothing_is_fresh_until_it_was_read_again(
    connections: RedisConnections, other: RedisConnections, base: str, caplog: pytest.LogCaptureFixture
) -> None:
    local = await followed(connections, base)
    await other.execute("SET", f"{base}:e:a", "old", "PX", 60_000)
    await hearing(local)
    await eventually(lambda: keep(local, "a", "old"))
    (client,) = [each for each in await tracking_clients(other) if each["cmd"] in ("ping", "client|tracking")]
    with caplog.at_level(logging.WARNING):
        await other.execute("CLIENT", "KILL", "ID", client["id"])
        await other.execute("SET", f"{base}:e:a", "new", "PX", 60_000)
        await eventually(lambda: local.get("a") is MISSING, what="the cut is noticed")
        assert not keep(local, "b", "x") or await read(connections, local, base, "a") == "new"
        await hearing(local)
    assert local.get("a") is MISSING
    assert await read(connections, local, base, "a") == "new"
    assert local.get("a") == "new"
    assert [record.message.split(":")[0] for record in caplog.records] == ["invalidations interrupted"]


@pytest.mark.proves("R7", "C4")
async def test_a_connection_that_dies_in_silence_is_interrupted_within_two_seconds(
    redis_url: str, fault_proxy: FaultProxy, base: str
) -> None:
    connections = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    try:
        local = await followed(connections, base)
        diary = Diary()
        connections.invalidations.watch(f"{base}:other:", diary)
        await eventually(lambda: diary.live)
        keep(local, "a", "old")
        fault_proxy.pause()
        silent = time.monotonic()
        await eventually(lambda: not diary.live)
        # Two seconds of heartbeat and patience, and what a busy machine adds.
        assert time.monotonic() - silent < 10
        assert local.get("a") is MISSING
        assert not keep(local, "a", "old")
        last_good = local.last_good("a")
        assert last_good is not None
        assert last_good[0] == "old"
        fault_proxy.resume()
        await hearing(local)
    finally:
        fault_proxy.resume()
        await connections.aclose()


@pytest.mark.proves("R7", "C4")
async def test_a_reply_that_arrives_after_its_invalidation_is_not_kept(
    connections: RedisConnections, redis_url: str, fault_proxy: FaultProxy, base: str
) -> None:
    local = await followed(connections, base)
    await connections.execute("SET", f"{base}:e:a", "old", "PX", 60_000)
    slow = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url)))
    try:
        await slow.ping()
        await hearing(local)
        fault_proxy.latency = 0.3
        reading = asyncio.create_task(read(slow, local, base, "a"))
        await asyncio.sleep(0.15)  # the server has answered, the answer is on its way
        await connections.execute("SET", f"{base}:e:a", "new", "PX", 60_000)
        assert await reading == "old"
        assert local.get("a") is MISSING, "the old value must not be kept"
        assert await read(slow, local, base, "a") == "new"
        assert local.get("a") == "new"
    finally:
        await slow.aclose()


@pytest.mark.proves("R7", "C4")
async def test_a_wiped_and_a_killed_server_leave_no_old_value(disposable_server: ServerUnderTest) -> None:
    connections = RedisConnections(patient_settings(disposable_server.url))
    base = "t:v1:{cache:menu:0}"
    try:
        local = await followed(connections, base)
        keep(local, "a", "old")
        await asyncio.to_thread(disposable_server.wipe)
        await eventually(lambda: local.get("a") is MISSING)
        assert local.last_good("a") is None, "it was deleted on purpose"
        keep(local, "b", "old")
        await asyncio.to_thread(disposable_server.restart, kill=True)
        await eventually(lambda: local.get("b") is MISSING)
        await eventually(lambda: keep(local, "b", "new"), within=40, what="the feed is live again")
        assert local.get("b") == "new"
    finally:
        await connections.aclose()


def keep_and_get(local: LocalCache[str], value: str) -> bool:
    return keep(local, "a", value) and local.get("a") == value


@pytest.mark.proves("R7", "C4")
async def test_after_a_blocked_event_loop_nothing_is_fresh_before_the_feed_was_read(
    connections: RedisConnections, redis_url: str, base: str
) -> None:
    shared = RedisConnections(patient_settings(redis_url, transport="multiplexed"))
    try:
        locals_ = [await followed(connections, base), await followed(shared, base)]
        for local in locals_:
            await eventually(partial(keep_and_get, local, "old"))
        time.sleep(2.2)  # noqa: ASYNC251  that is the point
        assert [local.get("a") for local in locals_] == [MISSING, MISSING]
        for local in locals_:
            await eventually(partial(keep_and_get, local, "new"))
    finally:
        await shared.aclose()


@pytest.mark.proves("R7")
async def test_closing_ends_the_task_and_the_trust_and_watching_before_leaves_no_task(
    redis_url: str, base: str
) -> None:
    before = len(asyncio.all_tasks())
    connections = RedisConnections(patient_settings(redis_url))
    unused: LocalCache[str] = LocalCache()
    unused.attach(connections.invalidations, [base.replace("menu", "unused")])
    assert len(asyncio.all_tasks()) == before, "nothing begins before somebody reads"
    local = await followed(connections, base)
    await eventually(lambda: keep(local, "a", "x"))
    await connections.aclose()
    assert local.get("a") is MISSING
    assert len(asyncio.all_tasks()) == before
    unused.reserve("a")
    assert len(asyncio.all_tasks()) == before


@pytest.mark.proves("R7")
async def test_closing_at_the_moment_in_which_a_link_fails_ends_too(
    redis_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail_when_cancelled(_: TrackingLink) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise redis.exceptions.ConnectionError("lost at that moment") from None

    monkeypatch.setattr(TrackingLink, "run", fail_when_cancelled)
    connections = RedisConnections(patient_settings(redis_url))
    connections.invalidations.watch(f"{key_prefix}:", Diary())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await connections.aclose()
