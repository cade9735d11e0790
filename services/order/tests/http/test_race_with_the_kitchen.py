"""A guest cancels while a cook takes the pizza: both real services, decided once, many times over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from kitchen_service.bootstrap import create_kitchen_app
from kitchen_service.settings import KitchenSettings
from pizzeria_chassis.testing import TOKENS, serving
from pydantic import SecretStr
from rediscore.testing import eventually

from services.order.tests.harness import ON_BOTH_DATABASES, House

ORDERS = 14
LONGEST = 1.0


@pytest_asyncio.fixture
async def kitchen(house: House, flavour: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A real kitchen beside the order service, on a database of the same kind; speaks as a manager."""
    url = f"sqlite:///{tmp_path}/kitchen.db"
    if flavour == "postgresql":
        name = f"kitchen_{uuid4().hex[:12]}"
        admin = await asyncpg.connect(house.database_url)
        await admin.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        await admin.close()
        url = f"{house.database_url.rpartition('/')[0]}/{name}"
    values: dict[str, Any] = {
        "environment": "demo",
        "database_url": SecretStr(url),
        "redis": house.redis,
        "menu_url": house.menu_url,
        "order_url": "http://127.0.0.1:9",  # all comes by the stream here
        **{f"{role}_token": SecretStr(token) for role, token in TOKENS.items()},
    }
    headers = {"Authorization": f"Bearer {TOKENS['manager']}"}
    async with (
        serving(create_kitchen_app(KitchenSettings(**values))) as house.kitchen_url,
        httpx.AsyncClient(base_url=house.kitchen_url, headers=headers, timeout=20) as client,
    ):
        yield client
        await house.close()


@ON_BOTH_DATABASES
@pytest.mark.proves("P3", "P5", "I1", "I2", "I4")
async def test_no_refund_for_what_was_begun_and_nothing_begun_that_was_cancelled(
    house: House, kitchen: httpx.AsyncClient
) -> None:
    guest = await house.guest(await house.open(payment_timeout_seconds=10))
    head_start = 0.05  # of the guest before the cook; moved to where either may win
    cooked: dict[str, int] = {}  # orders that the cook got, with the answer that the guest got
    called_off: list[str] = []
    for _ in range(ORDERS):
        answer = await guest.order(items=[{"pizza_id": "margherita", "size": "small"}])
        order_id = answer.json()["id"]
        await _accepted(kitchen, order_id)

        async def cook(wait: float = head_start) -> httpx.Response:
            await asyncio.sleep(wait)
            while True:
                answer = await kitchen.post("/stations/oven-1/claim", json={"wait_seconds": 0})
                if answer.status_code != 503:  # too busy: nothing was claimed
                    return answer

        claimed, cancelled = await asyncio.gather(cook(), guest.post(f"/orders/{order_id}/cancel"))
        assert claimed.status_code in (200, 204), claimed.text
        assert cancelled.status_code in (202, 409), cancelled.text
        if claimed.status_code == 200:
            assert claimed.json()["order_id"] == order_id
            cooked[order_id] = cancelled.status_code
            head_start = min(head_start * 1.6, LONGEST)
            verb = f"/tickets/{claimed.json()['ticket_id']}/complete"
            done = await kitchen.post(verb, json={"fencing_token": claimed.json()["fencing_token"]})
            assert done.status_code == 200
        else:
            called_off.append(order_id)
            head_start /= 1.6

    for order_id, answered in cooked.items():
        order = await guest.until_status(order_id, "ready")
        if answered == 202:
            order = await guest.until(order_id, lambda order: order["cancellation"] == "refused")
        assert house.movements(order_id) == [("captured", 1039)]
        assert order["payment"]["refunded"]["amount"] == "0.00"
        assert "kitchen.ticket_started" in await _told(kitchen, order_id)
    for order_id in called_off:
        await guest.until_status(order_id, "cancelled")
        assert house.movements(order_id) == [("captured", 1039), ("refunded", 1039)]
        assert "kitchen.ticket_started" not in await _told(kitchen, order_id)
    # Without both there was no race, and nothing would be proven.
    assert cooked
    assert called_off
    stock = {item["ingredient"]: item for item in (await kitchen.get("/inventory")).json()["items"]}
    assert all(item["reserved"] == 0 for item in stock.values())


async def _told(kitchen: httpx.AsyncClient, order_id: str) -> list[str]:
    events: list[dict[str, Any]] = (await kitchen.get("/events", params={"limit": 500})).json()["items"]
    told = [event["type"] for event in events if event["subject"] == order_id]
    return [kind.removeprefix("pizzeria.").removesuffix(".v1") for kind in told]


async def _accepted(kitchen: httpx.AsyncClient, order_id: str) -> None:
    async def there() -> bool:
        return "kitchen.ticket_accepted" in await _told(kitchen, order_id)

    await eventually(there, within=40, every=0.1, what=f"{order_id} accepted")
