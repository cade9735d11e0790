"""The durable feed: all of history in order, page by page, for services and managers alone."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import FeedUnavailable
from pizzeria_chassis.feed import FeedClient, feed_router
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.positions_router import positions_router
from pizzeria_chassis.settings import Staff
from pizzeria_chassis.testing import TOKENS, caller
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import TicketStarted
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.testing import eventually

COUNT = 23


def _app(database: Database) -> FastAPI:
    tokens: dict[Staff, SecretStr] = {role: SecretStr(token) for role, token in TOKENS.items()}
    routers = [positions_router(database), feed_router(database)]
    return create_app(
        Service(name="kitchen", description="K.", authenticator=Authenticator(tokens), routers=routers)
    )


@pytest.fixture
async def app(database: Database, own_connections: RedisConnections) -> FastAPI:
    """A kitchen that told of 23 tickets."""
    relay = Relay(database, own_connections, streams=[KITCHEN])
    app = _app(database)
    await relay.start()
    for number in range(COUNT):

        async def work(tx: Transaction, number: int = number) -> None:
            await tx.append(TicketStarted(ticket_id=str(number), station_id="s"), subject=f"o-{number % 4}")

        await database.transact(work)

    async def sent() -> bool:
        async with caller(app, "manager") as client:
            outbox = (await client.get("/events/positions")).json()["outbox"]
        return bool(outbox == {"head": COUNT, "sent": COUNT})

    await eventually(sent, within=40)
    await relay.stop()
    return app


async def test_pages_hold_all_of_history_in_order(app: FastAPI) -> None:
    tickets: list[str] = []
    after: int | None = 0
    async with caller(app, "service") as client:
        while after is not None:
            page = (await client.get("/events", params={"after": after, "limit": 5})).json()
            assert len(page["items"]) <= 5
            tickets += [event["data"]["ticket_id"] for event in page["items"]]
            assert [event["position"] for event in page["items"]] == [
                after + step for step in range(1, len(page["items"]) + 1)
            ]
            after = page["next"]
        assert (await client.get("/events/head")).json() == {"position": COUNT}
    assert tickets == [str(number) for number in range(COUNT)]


async def test_the_client_reads_what_the_service_tells(app: FastAPI) -> None:
    token = SecretStr(TOKENS["service"])
    async with FeedClient("http://kitchen", token, transport=httpx.ASGITransport(app)) as feed:
        assert await feed.head() == COUNT
        page = await feed.page(20)
        assert [event.position for event in page] == [21, 22, 23]
        assert [event.data["ticket_id"] for event in page] == ["20", "21", "22"]
        assert await feed.page(COUNT) == []


@pytest.mark.parametrize("path", ["/events", "/events/head", "/events/positions"])
@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), ("cook", 403), ("driver", 403), ("manager", 200), ("service", 200)]
)
async def test_roles(
    path: str, role: Staff | None, status: int, sqlite_url: str, open_database: Callable[..., Database]
) -> None:
    from pizzeria_chassis.testing import create_chassis_tables_now

    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    async with caller(_app(database), role) as client:
        assert (await client.get(path)).status_code == status


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=501", "after=x"])
async def test_wrong_pages_are_refused(
    query: str, sqlite_url: str, open_database: Callable[..., Database]
) -> None:
    async with caller(_app(open_database(sqlite_url)), "service") as client:
        assert (await client.get(f"/events?{query}")).status_code == 422


def _refuse(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "answer",
    [
        _refuse,
        lambda _: httpx.Response(503, text="hunter2"),
        lambda _: httpx.Response(200, text="<html>hunter2"),
        lambda _: httpx.Response(200, json={"position": "hunter2"}),
        lambda _: httpx.Response(401),
    ],
)
async def test_whatever_goes_wrong_is_feed_unavailable_and_quotes_nothing(answer: Any) -> None:
    async with FeedClient("http://kitchen", None, transport=httpx.MockTransport(answer)) as feed:
        with pytest.raises(FeedUnavailable) as error:
            await feed.head()
    assert "http://kitchen/events/head did not answer" in str(error.value)
    assert "hunter2" not in str(error.value)


async def test_unplaced_and_unsent_events_show_in_the_positions(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.append(TicketStarted(ticket_id="t", station_id="s"), subject="o-1")

    await database.transact(work)
    async with caller(_app(database), "manager") as client:
        assert (await client.get("/events/positions")).json() == {
            "outbox": {"head": 1, "sent": 0},
            "inbox": {},
        }
        assert (await client.get("/events/head")).json() == {"position": 0}
