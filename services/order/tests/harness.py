"""An order service that runs on real Redis and a real database, and guests that use it."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from order_service.bootstrap import create_order_app
from order_service.settings import OrderSettings
from order_service.use_cases.ports import PaymentProvider
from pizzeria_chassis.testing import TOKENS, serving
from pizzeria_chassis.tls import trusted
from pizzeria_contracts.events import DeliveryCompleted, DeliveryStarted, OrderReady, TicketStarted
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.settings import RedisSettings
from rediscore.streams import dead_stream
from rediscore.testing.waiting import eventually

from services.order.tests.neighbours import KitchenStandIn, MenuStandIn

MANAGER = {"Authorization": f"Bearer {TOKENS['manager']}"}
COOK = {"Authorization": f"Bearer {TOKENS['cook']}"}

TO_THE_DOOR = (
    TicketStarted(ticket_id="t", station_id="s"),
    OrderReady(),
    DeliveryStarted(driver_id="d"),
    DeliveryCompleted(driver_id="d"),
)

# For claims about locks, races and constraints; else one database is enough: SQLite, or PostgreSQL where the
# statements are like those of a test that runs on SQLite anyhow.
ON_BOTH_DATABASES = pytest.mark.parametrize("flavour", ["sqlite", "postgresql"])
ON_POSTGRESQL = pytest.mark.parametrize("flavour", ["postgresql"])


class Guest:
    """A signed-in guest of one order service."""

    def __init__(self, http: httpx.AsyncClient, session: dict[str, Any]) -> None:
        self.http = http
        self.id = session["customer_id"]
        self.headers = {"Authorization": f"Bearer {session['token']}"}

    @classmethod
    def of(cls, http: httpx.AsyncClient, other: "Guest") -> "Guest":
        """The same guest at another replica."""
        guest = cls(http, {"customer_id": other.id, "token": ""})
        guest.headers = other.headers
        return guest

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.post(path, headers=self.headers | options.pop("headers", {}), **options)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)

    async def patch(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self.http.patch(path, headers=self.headers, json=body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(path, headers=self.headers)

    async def add(self, pizza_id: str = "margherita", key: str | None = None, **fields: Any) -> str:
        """Puts a line into the cart; its id."""
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"pizza_id": pizza_id, "size": "medium"} | fields
        answer = await self.post("/cart/items", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].removeprefix("/cart/items/")

    async def cart(self) -> dict[str, Any]:
        answer = await self.get("/cart")
        assert answer.status_code == 200, answer.text
        cart: dict[str, Any] = answer.json()
        return cart

    async def check_out(self, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        headers |= options.pop("headers", {})
        body = {"payment": {"token": "tok_approved"}} | options
        return await self.post("/cart/checkout", json=body, headers=headers)

    async def until_delivered(self, house: "House", order_id: str) -> None:
        """Lets the kitchen cook and bring it."""
        await self.until_status(order_id, "confirmed")
        await house.kitchen.accept(order_id)
        await house.kitchen.tell(order_id, *TO_THE_DOOR)
        await self.until_status(order_id, "delivered")

    async def order(
        self, card: str = "tok_approved", key: str | None = None, **fields: Any
    ) -> httpx.Response:
        body = {"items": [{"pizza_id": "margherita", "size": "medium", "quantity": 2}]}
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.post("/orders", json=body | {"payment": {"token": card}} | fields, headers=headers)

    async def placed(self, card: str = "tok_approved", **fields: Any) -> str:
        answer = await self.order(card, **fields)
        assert answer.status_code == 201, answer.text
        order_id: str = answer.json()["id"]
        return order_id

    async def until_price(self, amount: str) -> dict[str, Any]:
        """Orders until one costs so much, for at most as long as a copy of the menu may be fresh."""

        async def try_again() -> dict[str, Any] | None:
            placed: dict[str, Any] = (await self.order()).json()
            return placed if placed["total"]["amount"] == amount else None

        found: dict[str, Any] | None = await eventually(try_again, every=0.05)
        assert found is not None
        return found

    async def until_signed_out(self) -> httpx.Response:
        async def try_again() -> list[httpx.Response]:
            answer = await self.get("/me")
            return [answer] if answer.status_code != 200 else []

        return (await eventually(try_again))[0]

    async def until_refused(self) -> httpx.Response:
        """Orders until one is not taken."""

        async def try_again() -> list[httpx.Response]:
            answer = await self.order()
            return [answer] if answer.status_code != 201 else []

        return (await eventually(try_again, every=0.2))[0]

    async def look(self, order_id: str) -> dict[str, Any]:
        answer = await self.get(f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def until(
        self, order_id: str, condition: Callable[[dict[str, Any]], bool], within: float = 40
    ) -> dict[str, Any]:
        """The order once the condition holds; else its journey is in the failure."""

        async def look() -> dict[str, Any] | None:
            order = await self.look(order_id)
            return order if condition(order) else None

        try:
            found: dict[str, Any] | None = await eventually(look, within=within, every=0.02)
        except AssertionError:
            journey = (await self.get(f"/orders/{order_id}/journey")).text
            raise AssertionError(f"{await self.look(order_id)}\n{journey}") from None
        assert found is not None
        return found

    async def until_status(self, order_id: str, status: str, within: float = 40) -> dict[str, Any]:
        return await self.until(order_id, lambda order: bool(order["status"] == status), within)


class House:
    """One order service with its database, and its neighbours."""

    def __init__(
        self, database_url: str, redis: RedisSettings, menu: MenuStandIn, kitchen: KitchenStandIn
    ) -> None:
        self.database_url = database_url
        self.redis = redis
        self.menu = menu
        self.kitchen = kitchen
        self.menu_url = self.kitchen_url = ""
        self.around_provider: Callable[[PaymentProvider], PaymentProvider] = lambda provider: provider
        self._open = AsyncExitStack()

    def settings(self, **changes: Any) -> OrderSettings:
        known: dict[str, Any] = {
            "environment": "demo",
            "database_url": SecretStr(self.database_url),
            "redis": self.redis,
            "menu_url": self.menu_url,
            "kitchen_url": self.kitchen_url,
            "menu_fresh_seconds": 0.05,
            "payment_timeout_seconds": 1,
            "payment_retry_seconds": 0.05,
            "saga_poll_seconds": 0.1,
            "grace_seconds": 4,
            **{f"{role}_token": SecretStr(token) for role, token in TOKENS.items()},
        }
        return OrderSettings(**known | changes)

    async def open(self, **changes: Any) -> httpx.AsyncClient:
        """One more replica; closed at the end of the test."""
        app = create_order_app(self.settings(**changes), around_provider=self.around_provider)
        address = await self._open.enter_async_context(serving(app))
        return await self._open.enter_async_context(
            httpx.AsyncClient(base_url=address, timeout=20, verify=trusted())
        )

    async def guest(self, http: httpx.AsyncClient) -> Guest:
        answer = await http.post("/sessions", json={"name": "Ada"})
        assert answer.status_code == 201, answer.text
        return Guest(http, answer.json())

    async def close(self) -> None:
        await self._open.aclose()

    async def write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Change the SQLite file from outside the service: in a thread, for its lock may be held by a
        transaction that needs this event loop to go on."""

        def work() -> None:
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
                for statement, values in statements:
                    connection.execute(statement, values)

        await asyncio.to_thread(work)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database holds, read from outside the service; parameters are question marks."""
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"))) as connection:
                return connection.execute(query, values).fetchall()
        numbers = itertools.count(1)
        numbered = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, self._fetch(numbered, values)).result()

    async def _fetch(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def dead_letters(self) -> list[dict[bytes, bytes]]:
        """What this service gave up on, with its reasons."""
        entries: Any = await self.kitchen.connections.commands.xrange(dead_stream(KITCHEN))
        return [fields for _, fields in entries]

    def now(self) -> str:
        """The present moment as SQLite keeps times."""
        return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def movements(self, order_id: str) -> list[tuple[str, int]]:
        """What the provider moved for an order: kind and cents."""
        return self.rows("SELECT kind, amount FROM provider_movements WHERE key = ? ORDER BY id", order_id)

    def told(self, order_id: str) -> list[str]:
        """The types of our events about an order, in sequence; the sequence is checked on the way."""
        rows = self.rows("SELECT sequence, type FROM outbox WHERE subject = ? ORDER BY sequence", order_id)
        assert [sequence for sequence, _ in rows] == list(range(1, len(rows) + 1))
        return [kind.removeprefix("pizzeria.").removesuffix(".v1") for _, kind in rows]
