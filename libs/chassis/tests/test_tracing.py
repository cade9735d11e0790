"""One trace from the request through outbox and stream into the handler of another service."""

import importlib
from pathlib import Path

import httpx
import pytest
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.settings import ServiceSettings
from pizzeria_chassis.telemetry import current_trace_id, current_traceparent
from pizzeria_chassis.testing import TOKENS, caller, running
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import CancellationRequested, OrderReady
from pizzeria_contracts.streams import KITCHEN, ORDERS
from pydantic import SecretStr
from rediscore.settings import RedisSettings
from rediscore.streams.event import CloudEvent
from rediscore.testing import eventually
from structlog.contextvars import get_contextvars

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def _settings(name: str, tmp_path: Path, redis: RedisSettings) -> ServiceSettings:
    return ServiceSettings(
        service_name=name,
        port=0,
        database_url=SecretStr(f"sqlite:///{tmp_path}/{name}.db"),
        redis=redis,
        **{f"{role}_token": SecretStr(token) for role, token in TOKENS.items()},
    )


@pytest.mark.proves("P6")
async def test_the_trace_of_a_request_reaches_the_handler_and_what_it_tells(
    tmp_path: Path, own_redis: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    shop = importlib.import_module("shop.app").create(_settings("shop", tmp_path, own_redis))
    kitchen = Chassis(
        _settings("kitchen", tmp_path, own_redis), package="shop", description="Kitchen.", publishes=KITCHEN
    )
    orders = kitchen.consumer(ORDERS, upstream="http://shop")
    orders.feed = FeedClient("http://shop", None, transport=httpx.ASGITransport(shop))
    seen: list[dict[str, object]] = []

    @orders.on(CancellationRequested)
    async def handler(tx: Transaction, event: CloudEvent[CancellationRequested]) -> None:
        told = await tx.append(OrderReady(), subject=event.subject)
        seen.append({"handler": current_trace_id(), "told": told.traceparent, **get_contextvars()})

    orders.ignore_rest()
    async with running(shop), running(kitchen.app()), caller(shop) as client:
        parent = f"00-{TRACE}-00f067aa0ba902b7-01"
        answer = await client.post("/visits/o-7", headers={"traceparent": parent})
        assert answer.status_code == 201
        await eventually(lambda: seen, within=40)
        async with caller(shop, "service") as staff:
            (event,) = (await staff.get("/events")).json()["items"]
    assert event["traceparent"].split("-")[1] == TRACE
    (handled,) = seen
    assert handled["handler"] == TRACE
    assert str(handled["told"]).split("-")[1] == TRACE
    assert (handled["trace_id"], handled["order_id"]) == (TRACE, "o-7"), "bound to every log line"


async def test_a_request_without_a_trace_starts_one(
    tmp_path: Path, own_redis: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    shop = importlib.import_module("shop.app").create(_settings("shop", tmp_path, own_redis))
    async with running(shop), caller(shop) as client, caller(shop, "manager") as staff:
        for given in (None, "nonsense", "00-0-0-00"):
            headers = {"traceparent": given} if given else {}
            await client.post("/visits/o-1", headers=headers)
        items = (await staff.get("/events", params={"limit": 10})).json()["items"]

        async def placed() -> bool:
            return len((await staff.get("/events")).json()["items"]) == 3

        await eventually(placed, within=40)
        items = (await staff.get("/events")).json()["items"]
    traces = {event["traceparent"].split("-")[1] for event in items}
    assert len(traces) == 3
    assert all(len(trace) == 32 and int(trace, 16) for trace in traces)
    assert current_traceparent() is None, "nothing leaks out of a request"
