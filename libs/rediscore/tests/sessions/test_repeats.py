"""A verb whose reply is lost counts once, and brings back nothing that was ended before it was sent again."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.sessions import Sessions
from rediscore.testing import FaultProxy, ServerTime

pytestmark = pytest.mark.proves("R13", "T1")


@dataclass
class Login:
    a: int = 0


def make(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> Sessions[Login]:
    idle, absolute = timedelta(minutes=30), timedelta(hours=8)
    return Sessions(connections, "web", Login, keys=keys, idle=idle, absolute=absolute, now_ms=now)


@pytest.fixture
async def sessions(connections: RedisConnections, keys: KeySpace, now: ServerTime) -> Sessions[Login]:
    return make(connections, keys, now)


@pytest.fixture
async def flaky(through_proxy: RedisConnections, keys: KeySpace, now: ServerTime) -> Sessions[Login]:
    return make(through_proxy, keys, now)


async def test_lost_reply_to_create(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    fault_proxy.swallow_reply()

    session = await flaky.create("ada", Login(1))

    assert fault_proxy.swallowed == 1
    assert await sessions.load(session.id) == session
    assert len(await sessions.list("ada")) == 1


@pytest.mark.proves("SE4")
async def test_lost_reply_to_create_and_all_ended_meanwhile(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    ended = []

    async def end() -> None:
        ended.append(await sessions.destroy_all("ada"))

    fault_proxy.on_swallow = end
    fault_proxy.swallow_reply()

    session = await flaky.create("ada", Login(1))

    assert ended == [1]
    assert await sessions.load(session.id) is None


async def test_lost_reply_to_update_that_another_has_changed_since(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    session = await sessions.create("ada", Login(1))

    async def another() -> None:
        await sessions.update(session.id, a=3)

    fault_proxy.on_swallow = another
    fault_proxy.swallow_reply()

    await flaky.update(session.id, a=2)

    assert fault_proxy.swallowed == 1
    loaded = await sessions.load(session.id)
    assert loaded is not None
    assert loaded.data == Login(3)


@pytest.mark.proves("SE3")
async def test_lost_reply_to_rotate(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    session = await sessions.create("ada", Login(1))
    fault_proxy.swallow_reply()

    fresh = await flaky.rotate(session.id)

    assert fault_proxy.swallowed == 1
    assert await sessions.load(session.id) is None
    assert await sessions.load(fresh) is not None
    assert len(await sessions.list("ada")) == 1


async def test_lost_reply_to_load_and_destroy(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    session = await sessions.create("ada", Login(1))
    fault_proxy.swallow_reply()
    assert await flaky.load(session.id) == session
    fault_proxy.swallow_reply()

    await flaky.destroy(session.id)

    assert fault_proxy.swallowed == 2
    assert await sessions.load(session.id) is None


@pytest.mark.proves("SE4")
async def test_lost_reply_to_destroy_all_and_a_new_login_meanwhile(
    flaky: Sessions[Login], sessions: Sessions[Login], fault_proxy: FaultProxy
) -> None:
    await sessions.create("ada", Login(1))
    fresh = []

    async def login() -> None:
        fresh.append(await sessions.create("ada", Login(2)))

    fault_proxy.on_swallow = login
    fault_proxy.swallow_reply()

    assert await flaky.destroy_all("ada") == 1

    assert fault_proxy.swallowed == 1
    assert await sessions.load(fresh[0].id) is not None
