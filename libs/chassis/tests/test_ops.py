"""What operators see and do over HTTP: managers alone, everything real behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing import caller, running
from pizzeria_chassis.testing.events import STARTED, Upstream
from pizzeria_contracts.streams import KITCHEN, ORDERS
from rediscore.settings import RedisSettings
from rediscore.testing import eventually

from libs.chassis.tests.ops_shop import BROKEN, make_shop


@dataclass
class Shop:
    """A service that hears of the kitchen, and cannot handle what station "broken" does."""

    chassis: Chassis
    app: FastAPI
    client: httpx.AsyncClient

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def letters(self, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get("/ops/dead-letters", **params))["items"]
        return items

    async def letter(self) -> dict[str, Any]:
        """The one that there is, once it is there."""
        await eventually(self.letters, within=40, what="a dead letter")
        (letter,) = await self.letters()
        return letter


@asynccontextmanager
async def shop(
    tmp_path: Path, redis: RedisSettings, upstream: Upstream, environment: str
) -> AsyncIterator[Shop]:
    chassis, app = make_shop(tmp_path, redis, upstream, environment)
    async with running(app), caller(app, "manager") as client:
        yield Shop(chassis, app, client)


@pytest_asyncio.fixture
async def demo(
    tmp_path: Path, own_redis: RedisSettings, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    async with shop(tmp_path, own_redis, upstream, "demo") as one:
        yield one


@pytest.mark.proves("P15", "P16")
async def test_every_call_under_ops_takes_a_manager(demo: Shop) -> None:
    calls = [
        (method.upper(), path.replace("{letter_id}", "1"))
        for path, operations in demo.app.openapi()["paths"].items()
        if path.startswith("/ops")
        for method in operations
    ]
    assert len(calls) >= 13
    others: list[Staff | None] = [None, "cook", "driver", "service"]
    for role in others:
        async with caller(demo.app, role) as client:
            for method, path in calls:
                answer = await client.request(method, path, json={})
                assert answer.status_code == (401 if role is None else 403), (role, method, path)


@pytest.mark.proves("P16", "R18")
async def test_a_dead_letter_is_listed_shown_edited_and_redriven(demo: Shop, upstream: Upstream) -> None:
    await upstream.tell(BROKEN, "o-1")
    letter = await demo.letter()
    assert (letter["stream"], letter["subject"], letter["reason"]) == (KITCHEN, "o-1", "handler-failed")
    assert (letter["attempts"], letter["state"], letter["edited"]) == (2, "waiting", False)
    path = f"/ops/dead-letters/{letter['id']}"
    event = (await demo.get(path))["event"]
    assert event["data"] == {"ticket_id": "t-1", "station_id": "broken"}

    refused = await demo.client.patch(path, json={"event": {**event, "data": {"ticket_id": "t-1"}}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/event/data/station_id"
    assert (await demo.client.patch(path, json={"event": event, "more": 1})).status_code == 422
    event["data"]["station_id"] = "oven-1"
    edited = await demo.client.patch(path, json={"event": event})
    assert edited.json()["edited"] is True, edited.text

    assert (await demo.client.post(f"{path}/redrive")).status_code == 202

    async def redriven() -> bool:
        return bool((await demo.get(path))["state"] == "redriven")

    await eventually(redriven)

    async def at_rest() -> bool:
        positions = await demo.get("/events/positions")
        effects = positions["outbox"]["head"]
        return bool(positions["inbox"].get(KITCHEN) == {"position": 1, "dead": 0} and effects == 1)

    await eventually(at_rest, what="one effect, and the position at the head")
    again = await demo.client.post(f"{path}/redrive")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert [deed["action"] for deed in (await demo.get("/ops/log"))["items"]] == ["redrive", "edit"]


@pytest.mark.proves("P16")
async def test_all_letters_are_redriven_and_one_is_dropped_with_a_reason(
    demo: Shop, upstream: Upstream
) -> None:
    for number in range(5):
        await upstream.tell(BROKEN, f"o-{number}")

    async def all_dead() -> bool:
        return len(await demo.letters(state="waiting")) == 5

    await eventually(all_dead, within=40)
    first = await demo.get("/ops/dead-letters", limit=2)
    rest = await demo.get("/ops/dead-letters", limit=3, after=first["next"])
    subjects = [letter["subject"] for page in (first, rest) for letter in page["items"]]
    assert sorted(subjects) == [f"o-{number}" for number in range(5)]
    path = f"/ops/dead-letters/{first['items'][0]['id']}"
    for reason in ({}, {"reason": ""}, {"reason": "two\nlines"}):
        assert (await demo.client.post(f"{path}/drop", json=reason)).status_code == 422
    dropped = await demo.client.post(f"{path}/drop", json={"reason": "the order is over"})
    assert dropped.json()["state"] == "dropped"
    wish = await demo.client.post("/ops/dead-letters/redrive", json={"stream": KITCHEN, "per_second": 100})
    assert wish.json() == {"letters": 4, "seconds": 0.03}

    async def failed_again() -> bool:
        return all(letter["redrives"] == 1 for letter in await demo.letters(state="waiting"))

    await eventually(failed_again)
    deeds = (await demo.get("/ops/log"))["items"]
    assert [(deed["who"], deed["action"], deed["detail"]) for deed in deeds] == [
        ("manager", "redrive-all", "4 letters, 100 per second"),
        ("manager", "drop", "the order is over"),
    ]
    assert (await demo.get("/ops/log", before=deeds[0]["id"]))["items"] == deeds[1:]
    assert (await demo.client.get("/ops/dead-letters/999")).status_code == 404


@pytest.mark.proves("P16", "I5")
async def test_lag_says_how_far_behind_and_null_for_what_does_not_answer(
    demo: Shop, upstream: Upstream
) -> None:
    await upstream.tell(STARTED)
    await upstream.tell(BROKEN, "o-2")

    async def at_rest() -> bool:
        lag = await demo.get("/ops/lag")
        (kitchen,) = lag["streams"]
        rest = {"position": 2, "head": 2, "behind": 0, "unread": 0, "pending": 0, "oldest_pending_seconds": 0}
        return bool(
            lag["outbox"] == {"head": 1, "sent": 1} and kitchen == {**rest, "stream": KITCHEN, "dead": 1}
        )

    await eventually(at_rest, within=40)
    upstream.away = True
    (kitchen,) = (await demo.get("/ops/lag"))["streams"]
    assert (kitchen["head"], kitchen["behind"], kitchen["position"]) == (None, None, 2)


@pytest.mark.proves("P16", "R11")
async def test_breakers_and_topology(demo: Shop) -> None:
    await eventually(lambda: demo.chassis.streams.checks()[KITCHEN].status == "reading", within=40)
    with pytest.raises(TimeoutError):
        await demo.chassis.redis_breaker.call(_times_out)
    (redis,) = (await demo.get("/ops/breakers"))["items"]
    assert (redis["name"], redis["state"], redis["counts"]) == ("redis", "closed", {"failure": 1})
    demo.chassis.redis_breaker.force_open()
    (redis,) = (await demo.get("/ops/breakers"))["items"]
    assert redis["state"] == "open"
    assert redis["seconds"] < 60
    topology = await demo.get("/ops/topology")
    assert topology["consumes"] == [
        {"stream": KITCHEN, "owner": "http://kitchen", "readers": {KITCHEN: "reading"}}
    ]
    assert topology["publishes"][0]["stream"] == ORDERS
    assert topology["calls"] == [{"name": "redis", "breaker": "open"}]
    assert topology["checks"]["database"] == {"status": "ok", "reason": ""}


async def _times_out() -> None:
    raise TimeoutError
