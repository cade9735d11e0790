"""Folding the projections anew beside the live ones, comparing, and putting them in their place."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio
from analytics_service import projections
from analytics_service.fold import LAYOUT
from analytics_service.picture import Picture, read_picture
from analytics_service.projections import Projections
from analytics_service.projector import ProjectorTask
from analytics_service.rebuilds import Rebuilds
from analytics_service.tally import board_table, day_table
from rediscore.breaker import CircuitBreaker
from rediscore.keys import KeySpace
from rediscore.retry import TRANSIENT
from rediscore.testing import eventually

from services.analytics.tests.evening import evening
from services.analytics.tests.harness import Analytics, Books, House, captured, confirmed, open_books

pytestmark = pytest.mark.proves("P13")

NOW = datetime.now(UTC)


async def rebuilt(analytics: Analytics) -> dict[str, object]:
    """Ask for a rebuild and wait until it is live; its last state."""
    asked = await analytics.manager.post("/projections/rebuild")
    assert asked.status_code == 202
    at = asked.headers["location"]

    async def is_done() -> bool:
        state.update(await analytics.get(at))
        return state["finished_at"] is not None

    state: dict[str, object] = asked.json()
    await eventually(is_done, within=40, what="the rebuild is live")
    return state


async def test_a_rebuild_finds_what_is_wrong_and_puts_it_right(
    analytics: Analytics, books: Books, house: House
) -> None:
    for pizza in ("margherita", "hawaiian"):
        await house.place(pizza)
    await analytics.archived(6)
    live = await books.live()
    assert live is not None
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:  # somebody's slip at the console
        await client.zincrby(
            books.projections.key(live.name, board_table("pizzas", "all", NOW).name), -5, "hawaiian"
        )
        await client.hdel(
            books.projections.key(live.name, day_table(NOW.date()).name), f"{NOW.hour:02}:placed"
        )
    assert not (await analytics.get("/projections/check"))["consistent"]

    state = await rebuilt(analytics)
    assert (state["reason"], state["status"], state["compared"]) == ("asked-for", "live", True)
    assert state["counted"] == state["archive_head"] == 6
    assert {"table": "board:pizzas:all", "field": "hawaiian", "expected": 1, "found": 6} in state["examples"]  # type: ignore[operator]
    assert (await books.popular()) == {"hawaiian": 1, "margherita": 1}
    assert (await analytics.get("/projections/check"))["consistent"]

    again = await rebuilt(analytics)
    assert (again["compared"], again["differences"]) == (True, 0)
    listed = (await analytics.get("/projections/rebuilds"))["items"]
    assert [one["reason"] for one in listed] == ["asked-for", "asked-for", "nothing-counted"]


async def test_one_rebuild_at_a_time(any_house: House) -> None:
    async with open_books(any_house.database_url, any_house.redis_url) as books:
        await books.keep(captured(1))
        rebuilds = [Rebuilds(books.database, LAYOUT) for _ in range(5)]
        asked = await asyncio.gather(*(one.request("asked-for") for one in rebuilds))
        assert len({one.id for one in asked}) == 1
        await books.count()
        assert await rebuilds[0].open() is None
        assert await books.found() == await books.expected() != {}
        assert (await rebuilds[0].request("asked-for")).id != asked[0].id


async def test_projections_can_be_read_all_the_time_while_events_keep_coming(books: Books) -> None:
    """Two projectors, events every moment, two rebuilds one after the other: counts only grow."""
    await books.keep(*(confirmed(number, "margherita") for number in range(300)))
    await books.count()
    generations, told, done = set(), 300, asyncio.Event()

    async def tell() -> None:
        nonlocal told
        while not done.is_set():
            await books.keep(confirmed(told, "margherita"))
            told += 1
            await asyncio.sleep(0.01)

    async def read() -> None:
        seen = 300
        while not done.is_set():
            count = (await books.popular())["margherita"]
            assert count >= seen, "a count went back"
            seen = count
            await asyncio.sleep(0.001)

    async def project() -> None:
        projector = books.projector()
        while not done.is_set():
            with contextlib.suppress(*TRANSIENT):  # a busy machine: its loop goes on, as in the service
                await projector.step()

    async def rebuild() -> None:
        rebuilds = Rebuilds(books.database, LAYOUT)
        for _ in range(2):
            asked = await rebuilds.request("asked-for")

            async def is_live(wanted: str = asked.id) -> bool:
                found = await rebuilds.find(wanted)
                return found is not None and found.finished_at is not None

            await eventually(is_live, within=30, what="the rebuild is live")
            found = await rebuilds.find(asked.id)
            assert found is not None
            assert found.compared
            assert found.differences.count == 0
            generations.add((await books.live() or pytest.fail("nothing is live")).name)
        done.set()

    async with asyncio.TaskGroup() as group:
        for work in (tell, read, project, project, rebuild):
            group.create_task(work())
    await books.count()
    assert len(generations) == 2
    assert await books.popular() == {"margherita": told}
    assert await books.found() == await books.expected()


async def test_the_live_one_stands_still_for_its_successor_and_goes_on_when_that_never_comes(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await books.keep(confirmed(1, "margherita"))
    await books.count()
    await books.keep(confirmed(2, "margherita"))
    projector = books.projector()
    monkeypatch.setattr(projections, "HOLD", timedelta(hours=1))
    await books.projections.hold("nobody's")  # there is no such shadow
    await projector.step()
    assert await books.popular() == {"margherita": 2}
    await books.keep(confirmed(3, "margherita"))
    await books.projections.begin("successor")
    await books.projections.hold("successor")
    for _ in range(3):
        await projector.step()
    assert await books.popular() == {"margherita": 2}
    monkeypatch.setattr(projections, "HOLD", timedelta(0))
    await books.projections.hold("successor")
    await projector.step()
    assert await books.popular() == {"margherita": 3}


async def test_when_comparing_takes_too_long_it_goes_live_without(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comparison outlasts the hold, and meanwhile another projector counts what came in."""
    monkeypatch.setattr(projections, "HOLD", timedelta(0))
    await books.keep(confirmed(1, "margherita"))
    await books.count()
    looked = 0

    async def slow(*arguments: Any) -> Picture:
        nonlocal looked
        looked += 1
        await books.keep(confirmed(1 + looked, "margherita"))
        await books.projector()._advance(await books.live() or pytest.fail("nothing is live"))
        return await read_picture(*arguments)

    monkeypatch.setattr("analytics_service.projector.read_picture", slow)
    asked = await Rebuilds(books.database, LAYOUT).request("asked-for")
    projector = books.projector()
    while await projector.step():
        assert looked < 50, "it never ends"
    found = await Rebuilds(books.database, LAYOUT).find(asked.id)
    assert found is not None
    assert found.finished_at is not None
    assert found.compared is False
    assert await books.popular() == {"margherita": 1 + looked}


async def test_a_wipe_in_the_middle_of_a_rebuild_only_costs_time(books: Books, house: House) -> None:
    await books.keep(*evening(5, 80))
    await books.count()
    rebuilds = Rebuilds(books.database, LAYOUT)
    asked = await rebuilds.request("asked-for")
    projector = books.projector()
    for _ in range(3):
        await projector.step()
    shadow = (await books.projections.control()).shadow
    assert shadow is not None
    assert shadow.checkpoint.seq > 0
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    await books.count()
    found = await rebuilds.find(asked.id)
    assert found is not None
    assert found.finished_at is not None
    assert await books.found() == await books.expected()


async def test_what_was_replaced_is_cleared_away_when_nobody_reads_it_any_more(
    books: Books, house: House
) -> None:
    await books.keep(*evening(6, 20))
    await books.count()
    old = await books.live()
    assert old is not None
    await Rebuilds(books.database, LAYOUT).request("asked-for")
    await books.count()
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:

        async def left() -> int:
            return len([key async for key in client.scan_iter(f"*{old.name}*")])

        assert await left() > 10  # somebody may just be reading
        control = await books.projections.control()
        assert control.retired.keys() == {old.name}
        assert not await books.projections.clear_retired(control, datetime.now(UTC))
        later = datetime.fromtimestamp(control.retired[old.name] / 1000 + 61, UTC)
        assert await books.projections.clear_retired(control, later)
        assert await left() == 0
    assert (await books.projections.control()).retired == {}
    assert await books.found() == await books.expected()


async def test_another_layout_is_built_beside_the_old_one(books: Books) -> None:
    """As in a rolling deployment: the old version goes on with its own, the new one folds from the start."""
    await books.keep(*(confirmed(number, "margherita") for number in range(3)))
    await books.count()
    old = books.projections
    new = Projections(
        books.connections, KeySpace("analytics"), breaker=CircuitBreaker("redis"), layout=LAYOUT + 1
    )
    assert (await new.control()).live is None
    books.projections = new
    await books.count()
    assert await books.popular() == {"margherita": 3}
    assert (await new.control()).live != (await old.control()).live
    assert (await old.control()).live is not None


async def test_without_anything_live_calls_say_so(house: House, books: Books) -> None:
    async with house.analytics(projector_seconds=60) as analytics:
        await eventually(books.live, within=40, what="the first generation is live")
        async with redis.asyncio.Redis.from_url(house.redis_url) as client:
            await client.flushdb()
        answer = await analytics.guest.get("/popular")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (await analytics.get("/projections"))["checkpoint"] is None


async def test_it_is_not_ready_before_something_is_live(books: Books) -> None:
    await books.keep(captured(1))
    task = ProjectorTask(projector := books.projector(), 60)
    assert task.checks()["projections"].status == "down"
    while await projector.step():
        pass
    assert task.checks()["projections"].status == "ok"
