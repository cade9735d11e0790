"""A service with background tasks: a worker beside its requests, operators who see it, Redis away."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.settings import ServiceSettings
from pizzeria_chassis.testing import caller, running
from pizzeria_chassis.transaction import Transaction
from pydantic import SecretStr
from rediscore.retry import Backoff
from rediscore.settings import RedisSettings
from rediscore.tasks import Retry, Task, Tasks, current_call
from rediscore.testing import FaultProxy, eventually
from sqlalchemy import text

HERE = Path(__file__).parent

pytestmark = pytest.mark.proves("R17")


@dataclass
class Shop:
    """A service that sends receipts: the mailbox is a table, its key the id of the call."""

    chassis: Chassis
    tasks: Tasks
    app: FastAPI
    receipt: Task[[str], Any]
    fail_after_commit: int = 0

    async def mailbox(self) -> list[tuple[str, str]]:
        async with self.chassis.database.read() as connection:
            rows = await connection.execute(text("SELECT id, whose FROM mailbox ORDER BY id"))
            return [(row[0], row[1]) for row in rows]


def shop_of(settings: ServiceSettings) -> Shop:
    chassis = Chassis(settings, package="shop", description="A shop.")
    tasks = chassis.tasks(lease=timedelta(seconds=3))

    @tasks.task(retry=Retry(backoff=Backoff(0.01, 0.05)))
    async def receipt(customer: str) -> None:
        call = current_call()

        async def work(tx: Transaction) -> None:
            # The effect and its mark are one row: whoever comes twice finds it there.
            await tx.connection.execute(
                text("INSERT INTO mailbox (id, whose) VALUES (:id, :whose) ON CONFLICT (id) DO NOTHING"),
                {"id": call.id, "whose": customer},
            )

        await chassis.database.transact(work)
        if call.attempt <= made.fail_after_commit:
            raise ConnectionError("lost after the commit")

    made = Shop(chassis, tasks, chassis.app(), receipt)
    return made


async def with_mailbox(shop: Shop) -> None:
    async def work(tx: Transaction) -> None:
        await tx.connection.execute(
            text("CREATE TABLE mailbox (id VARCHAR(100) PRIMARY KEY, whose VARCHAR(100))")
        )

    await shop.chassis.database.transact(work)


@pytest.fixture
def settings(own_redis: RedisSettings, sqlite_url: str, tokens: dict[str, SecretStr]) -> ServiceSettings:
    return ServiceSettings(
        service_name="shop", port=0, database_url=sqlite_url, redis=own_redis, grace_seconds=1, **tokens
    )


@pytest.fixture
async def shop(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.syspath_prepend(HERE)
    made = shop_of(settings)
    async with running(made.app):
        await with_mailbox(made)
        yield made


async def test_a_task_with_a_transaction_has_its_effect_once(shop: Shop) -> None:
    shop.fail_after_commit = 2

    await shop.receipt.apply_async(["ada"], task_id="order-7:receipt")

    async def sent() -> bool:
        return (await shop.tasks.queue.find("order-7:receipt")) is None

    await eventually(sent)
    assert await shop.mailbox() == [("order-7:receipt", "ada")]
    assert shop.tasks.meter.counts["failed"] == 2


async def test_operators_of_role_manager_see_them_the_page_is_open(shop: Shop) -> None:
    await shop.receipt.apply_async(["ada.lovelace"], task_id="later", countdown=timedelta(hours=1))

    async with caller(shop.app) as nobody:
        page = await nobody.get("/ops/tasks/")
        assert (page.status_code, "lovelace" in page.text) == (200, False)
        refused = await nobody.get("/ops/tasks/overview")
        assert (refused.status_code, refused.json()["type"]) == (401, "/problems/unauthenticated")
    async with caller(shop.app, "cook") as cook:
        assert (await cook.post("/ops/tasks/cancel", json={"ids": ["later"]})).status_code == 403
    async with caller(shop.app, "manager") as manager:
        assert (await manager.get("/ops/tasks/overview")).json()["counts"]["scheduled"] == 1
        (scheduled,) = (await manager.get("/ops/tasks/calls?state=scheduled")).json()["items"]
        assert (scheduled["id"], scheduled["arguments"]) == ("later", None)
        wrong = await manager.post("/ops/tasks/cancel", json={"ids": []})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/ids")
        cancelled = await manager.post("/ops/tasks/cancel", json={"ids": ["later"]})
        assert cancelled.json()["done"] == ["later"]


async def test_without_redis_the_service_is_degraded_and_comes_back(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    async with FaultProxy(settings.redis.host, settings.redis.port) as proxy:
        through = settings.redis.model_copy(update={"port": proxy.port, "socket_timeout": 0.5})
        shop = shop_of(settings.model_copy(update={"redis": through}))
        async with running(shop.app), caller(shop.app, "manager") as http:
            await with_mailbox(shop)

            async def status(of: str) -> bool:
                ready = await http.get("/health/ready")
                assert ready.status_code == 200, "Redis is not required here"
                return bool(ready.json()["checks"]["tasks"]["status"] == of)

            await eventually(lambda: status("ok"))
            proxy.pause()
            await eventually(lambda: status("degraded"), within=40)
            answer = await http.get("/ops/tasks/overview")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            proxy.resume()
            await eventually(lambda: status("ok"), within=40)
            await shop.receipt.apply_async(["ada"], task_id="after")
            await eventually(lambda: _is(shop, [("after", "ada")]), within=40)


async def _is(shop: Shop, wanted: list[tuple[str, str]]) -> bool:
    return await shop.mailbox() == wanted


async def test_stopped_it_gives_back_what_does_not_end_in_time(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    shop = shop_of(settings)
    began = asyncio.Event()

    @shop.tasks.task()
    async def endless() -> None:
        began.set()
        await asyncio.sleep(600)

    async with running(shop.app):
        await endless.apply_async(task_id="endless")
        await asyncio.wait_for(began.wait(), 15)
        stopping = time.monotonic()
    # The grace time of this service is 1 s; its lease would hold for 3.
    assert time.monotonic() - stopping < 20
    looking = Chassis(settings, package="shop", description="Looks.")
    entry = await looking.tasks().queue.find("endless")
    await looking.connections.aclose()
    assert entry is not None
    assert (entry.state, entry.failures, entry.recoveries) == ("ready", 0, 0)
