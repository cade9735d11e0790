"""Sessions end when they should, never come back, and keep what concurrent requests write."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sessions import Sessions
from rediscore.sessions.errors import SessionMissing
from rediscore.testing import ServerTime
from rediscore.testing.nursery import Nursery

pytestmark = pytest.mark.proves("R13")

IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=8)


@dataclass
class Login:
    a: int = 0
    b: int = 0


@pytest.fixture
async def sessions(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> Sessions[Login]:
    return Sessions(connections, "web", Login, keys=keys, idle=IDLE, absolute=ABSOLUTE, now_ms=now)


async def everything(connections: RedisConnections, key_prefix: str) -> dict[bytes, Any]:
    """All that Redis stores of the test."""
    stored: dict[bytes, Any] = {}
    async for key in connections.commands.scan_iter(match=f"{key_prefix}:*", count=1000):
        stored[key] = await connections.execute("DUMP", key)
    return stored


@pytest.mark.proves("SE2")
async def test_the_idle_time_slides_and_the_lifetime_does_not(
    sessions: Sessions[Login], now: ServerTime
) -> None:
    session = await sessions.create("ada", Login(a=1))
    for _ in range(19):
        now.advance(minutes=25)
        if _ % 2:
            await sessions.update(session.id, b=1)
        else:
            loaded = await sessions.load(session.id)
            assert loaded is not None
            assert loaded.ends_at == session.ends_at
    now.advance(minutes=4, seconds=59)
    assert await sessions.load(session.id) is not None

    now.advance(seconds=1)  # eight hours
    assert await sessions.load(session.id) is None
    assert await sessions.list("ada") == []


@pytest.mark.proves("SE2")
async def test_dead_when_idle_and_nothing_brings_it_back(
    sessions: Sessions[Login], now: ServerTime, connections: RedisConnections, key_prefix: str
) -> None:
    session = await sessions.create("ada", Login())
    now.advance(minutes=30)
    before = await everything(connections, key_prefix)  # its keys have not expired: it is dead all the same

    assert await sessions.load(session.id) is None
    for act in (sessions.update(session.id, a=1), sessions.rotate(session.id)):
        with pytest.raises(SessionMissing):
            await act
    assert await sessions.list("ada") == []
    assert before


async def test_every_key_has_a_ttl_that_lasts(
    sessions: Sessions[Login], connections: RedisConnections, key_prefix: str, now: ServerTime
) -> None:
    session = await sessions.create("ada", Login())
    now.advance(minutes=10)
    await sessions.load(session.id)
    await sessions.rotate(session.id)

    ttls = [await connections.execute("PTTL", key) for key in await everything(connections, key_prefix)]

    assert len(ttls) == 3  # index, session, request
    assert all(ttl > 0 for ttl in ttls)
    assert sorted(ttls)[1] > 29 * 60_000
    assert sorted(ttls)[2] > 7 * 3_600_000


@pytest.mark.proves("SE3")
async def test_a_new_id_and_the_old_one_is_dead(sessions: Sessions[Login], now: ServerTime) -> None:
    session = await sessions.create("ada", Login(a=5))
    other = await sessions.create("ada", Login(a=6))
    now.advance(minutes=1)

    fresh = await sessions.rotate(session.id)

    assert await sessions.load(session.id) is None
    loaded = await sessions.load(fresh)
    assert loaded is not None
    assert (loaded.user_id, loaded.data, loaded.ends_at) == ("ada", Login(a=5), session.ends_at)
    assert sorted(listed.data.a for listed in await sessions.list("ada")) == [5, 6]
    assert await sessions.rotate(session.id, successor=fresh) == fresh  # a repeat
    with pytest.raises(SessionMissing):
        await sessions.rotate(session.id)
    with pytest.raises(ValueError, match="successor"):
        await sessions.rotate(fresh, successor=(await sessions.create("bob", Login())).id)
    assert await sessions.destroy_all("ada") == 2
    assert [await sessions.load(i) for i in (fresh, other.id)] == [None, None]


async def test_ends_one_or_those_of_one_user(sessions: Sessions[Login]) -> None:
    first, second, third = [await sessions.create("ada", Login(n)) for n in range(3)]
    of_bob = await sessions.create("bob", Login())
    await sessions.destroy(first.id)
    await sessions.destroy(first.id)
    handles = {listed.data.a: listed.handle for listed in await sessions.list("ada")}
    assert sorted(handles) == [1, 2]
    await sessions.destroy_listed("bob", handles[1])
    assert await sessions.load(second.id) is not None
    assert await sessions.load(handles[1]) is None
    await sessions.destroy_listed("ada", handles[1])
    assert [bool(await sessions.load(s.id)) for s in (first, second, third)] == [False, False, True]

    assert await sessions.destroy_all("ada") == 1
    assert await sessions.destroy_all("ada") == 0

    assert await sessions.load(of_bob.id) is not None


async def test_no_more_than_allowed(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> None:
    sessions = Sessions(
        connections, "few", Login, keys=keys, idle=IDLE, absolute=ABSOLUTE, most_per_user=2, now_ms=now
    )
    made = []
    for _ in range(4):
        made.append(await sessions.create("ada", Login()))
        now.advance(minutes=1)

    assert [bool(await sessions.load(session.id)) for session in made] == [False, False, True, True]


async def test_redis_never_sees_an_id(
    sessions: Sessions[Login], connections: RedisConnections, key_prefix: str
) -> None:
    session = await sessions.create("ada", Login())
    secret = session.id.partition(".")[2].encode()
    assert len(secret) == 43
    async with connections.commands.monitor() as monitor:
        watching = asyncio.create_task(anext(command async for command in seen(monitor, key_prefix)))
        await asyncio.sleep(0)
        await sessions.load(session.id)
        command = await asyncio.wait_for(watching, 5)
    stored = await everything(connections, key_prefix)

    assert secret.decode() not in str(command)
    assert all(secret not in key and secret not in value for key, value in stored.items())
    assert hashlib.sha256(session.id.encode()).hexdigest() in str(command)
    assert session.id not in repr(session)
    assert secret.decode() not in repr(session) + str(session)


async def seen(monitor: Any, key_prefix: str) -> AsyncIterator[str]:
    while True:
        command = await monitor.next_command()
        if key_prefix in command["command"]:
            yield command["command"]


@pytest.mark.parametrize("session_id", ["", "x", "*", "a" * 68, "é" * 24 + "." + "x" * 43])
async def test_what_cannot_be_an_id(sessions: Sessions[Login], session_id: str) -> None:
    assert await sessions.load(session_id) is None
    await sessions.destroy(session_id)
    for act in (sessions.update(session_id, a=1), sessions.rotate(session_id)):
        with pytest.raises(SessionMissing) as raised:
            await act
        assert not session_id or session_id not in str(raised.value).split()


async def test_data_of_another_layout_is_no_session(
    sessions: Sessions[Login], connections: RedisConnections, keys: KeySpace, now: ServerTime
) -> None:
    @dataclass
    class Newer:
        name: str

    session = await sessions.create("ada", Login())
    newer = Sessions(connections, "web", Newer, keys=keys, idle=IDLE, absolute=ABSOLUTE, now_ms=now)

    assert await newer.load(session.id) is None
    assert await newer.list("ada") == []
    with pytest.raises(ValueError, match="no field"):
        await sessions.update(session.id, c=1)
    with pytest.raises(ValueError, match="idle"):
        Sessions(connections, "web", Login, keys=keys, idle=ABSOLUTE, absolute=IDLE)


Act = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def other_processes(
    nursery: Nursery, redis_url: str, prefix: str, *acts: tuple[str, str]
) -> AsyncIterator[Act]:
    """Processes that are ready; the act lets them go, waits, and gives what they print."""
    script = Path(__file__).parent / "session_process.py"
    environment = os.environ | {"REDIS_URL": redis_url}
    processes = [await nursery.start(script, prefix, *act, env=environment) for act in acts]

    async def go() -> list[Any]:
        async with asyncio.timeout(60):
            replies = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
        return [json.loads(out) for out, _ in replies]

    try:
        async with asyncio.timeout(60):
            for process in processes:
                assert await process.stdout.readline() == b"ready\n"
        yield go
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.proves("SE1")
async def test_two_processes_that_write_different_fields(
    nursery: Nursery, connections: RedisConnections, keys: KeySpace, key_prefix: str, redis_url: str
) -> None:
    sessions = Sessions(connections, "web", Login, keys=keys, idle=IDLE, absolute=ABSOLUTE)
    session = await sessions.create("ada", Login())

    async with other_processes(nursery, redis_url, key_prefix, ("a", session.id), ("b", session.id)) as go:
        await go()

    loaded = await sessions.load(session.id)
    assert loaded is not None
    assert loaded.data == Login(50, 50)


@pytest.mark.proves("SE4")
async def test_no_session_is_left_however_many_are_created_meanwhile(
    nursery: Nursery, connections: RedisConnections, keys: KeySpace, key_prefix: str, redis_url: str
) -> None:
    """After each `destroy_all` what exists is what the index lists; after the last one nothing is."""
    sessions = Sessions(
        connections, "web", Login, keys=keys, idle=IDLE, absolute=ABSOLUTE, most_per_user=1000
    )
    known = [(await sessions.create("ada", Login())).id for _ in range(20)]

    async with other_processes(nursery, redis_url, key_prefix, ("create", "ada"), ("create", "ada")) as go:
        creating = asyncio.ensure_future(go())
        ended = 0
        while not creating.done():
            mine = (await sessions.create("ada", Login())).id
            known.append(mine)
            ended += await sessions.destroy_all("ada")
            assert await sessions.load(mine) is None
            await asyncio.sleep(0)
        for made in creating.result():
            known += made

    alive = [await sessions.load(session_id) is not None for session_id in known]
    assert len(await sessions.list("ada")) == sum(alive) == len(known) - ended
    assert await sessions.destroy_all("ada") == sum(alive)
    assert not any([await sessions.load(session_id) for session_id in known])
    stored = await everything(connections, key_prefix)
    assert all(b":once:" in key for key in stored)  # no data is left either


@pytest.mark.proves("CLUSTER", "SE3", "SE4")
async def test_on_a_cluster(cluster_connections: RedisConnections, keys: KeySpace) -> None:
    sessions = Sessions(
        cluster_connections,
        "web",
        Login,
        keys=keys,
        idle=timedelta(seconds=30),
        absolute=timedelta(minutes=1),
    )
    made = [await sessions.create(f"user{n % 5}", Login(a=n)) for n in range(15)]
    await asyncio.gather(*(sessions.update(session.id, b=1) for session in made))
    made[0:1] = [session] if (session := await sessions.load(await sessions.rotate(made[0].id))) else []
    assert sorted(listed.data.a for listed in await sessions.list("user0")) == [0, 5, 10]

    assert await sessions.destroy_all("user0") == 3

    loaded = [await sessions.load(session.id) for session in made]
    assert [session.data.a for session in loaded if session] == [n for n in range(15) if n % 5]
