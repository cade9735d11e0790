"""A kitchen that runs on real Redis and a real database, and the services that it hears from."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from kitchen_service.bootstrap import create_kitchen_app
from kitchen_service.settings import KitchenSettings
from pizzeria_chassis import tables
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import feed_router
from pizzeria_chassis.health import Check
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing.serving import Server
from pizzeria_chassis.tls import trusted
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderConfirmed, OrderedItem, Payload
from pizzeria_contracts.streams import KITCHEN, MENU, ORDERS
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.streams import StreamPublisher, dead_stream
from rediscore.streams.event import CloudEvent, decode_entry
from rediscore.testing import eventually, patient_settings

TOKENS: Mapping[str, str] = {
    role: f"{role}-token-for-tests" for role in ("cook", "driver", "manager", "service")
}
Json = dict[str, Any]


class Served:
    """An app on a port of its own, in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = Server(app)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await eventually(
            lambda: self._server.started or self._task_is_done(), within=40, what="server started"
        )
        assert self._server.started

    async def stop(self) -> None:
        if self._task is not None:
            self._server.end()
            stopped, _ = await asyncio.wait({self._task}, timeout=30)
            assert stopped, f"it does not stop: {asyncio.all_tasks()}"
            self._task = None
        self._socket.close()

    def _task_is_done(self) -> bool:
        return self._task is not None and self._task.done()


class Upstream:
    """A service that the kitchen hears of: its outbox, relay and feed."""

    def __init__(self, stream: str, folder: Path, redis_url: str) -> None:
        self._database = Database(f"sqlite:///{folder / stream}.db", source="/test")
        self._connections = RedisConnections(patient_settings(redis_url))
        relay = Relay(self._database, self._connections, streams=[stream])
        self.served = Served(
            create_app(
                Service(
                    name=stream,
                    description="",
                    authenticator=Authenticator({"service": SecretStr(TOKENS["service"])}),
                    routers=[feed_router(self._database)],
                    components=[self, relay],
                )
            )
        )

    async def start(self) -> None:
        async with self._database.engines.writer.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)

    async def stop(self) -> None:
        await self._connections.aclose()
        await self._database.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def tell(self, payload: Payload, subject: str) -> CloudEvent[Any]:
        """Commit an event; the relay brings it to the stream."""

        async def work(tx: Transaction) -> CloudEvent[Any]:
            return await tx.append(payload, subject=subject)

        return await self._database.transact(work)


def item(
    pizza_id: str = "margherita", *, quantity: int = 1, size: str = "medium", toppings: Sequence[str] = ()
) -> OrderedItem:
    return OrderedItem.model_validate(
        {
            "pizza_id": pizza_id,
            "size": size,
            "toppings": tuple(toppings),
            "quantity": quantity,
            "unit_price": Decimal("10.00"),
        }
    )


def confirmed(*items: OrderedItem, priority: str = "standard", scheduled_for: Any = None) -> OrderConfirmed:
    items = items or (item(),)
    return OrderConfirmed.model_validate(
        {
            "customer_id": new_id(),
            "items": items,
            "total": Decimal("10.00") * sum(i.quantity for i in items),
            "priority": priority,
            "scheduled_for": scheduled_for,
        }
    )


@dataclass
class Kitchens:
    """One or more kitchens on one database and one Redis, and the services that they hear from."""

    folder: Path
    database_url: str
    redis_url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Redis as the kitchens see it and other settings, where they differ."""

    def __post_init__(self) -> None:
        self.settings = {"stream_lease_seconds": 2, **self.settings}
        self.orders = Upstream(ORDERS, self.folder, self.redis_url)
        self.menu = Upstream(MENU, self.folder, self.redis_url)
        self.connections = RedisConnections(patient_settings(self.redis_url))
        self._seen: dict[str, CloudEvent[Any]] = {}
        self._read_up_to = "-"
        self.kitchens: list[Served] = []
        self.clients: list[httpx.AsyncClient] = []

    def environment(self) -> dict[str, str]:
        """What a kitchen as a process of its own needs."""
        return {
            "ENVIRONMENT": "demo",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": str(self.settings.get("redis_url", self.redis_url)),
            "ORDER_URL": self.orders.served.url,
            "MENU_URL": self.menu.served.url,
            **{f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
            **{name.upper(): str(value) for name, value in self.settings.items() if name != "redis_url"},
        }

    def kitchen_settings(self) -> KitchenSettings:
        values = {
            "environment": "demo",
            "database_url": SecretStr(self.database_url),
            "order_url": self.orders.served.url,
            "menu_url": self.menu.served.url,
            **{f"{role}_token": SecretStr(token) for role, token in TOKENS.items()},
            **self.settings,
        }
        redis = RedisSettings.from_url(values.pop("redis_url", self.redis_url))
        return KitchenSettings(redis=redis, **values)

    async def open(self, **options: Any) -> httpx.AsyncClient:
        """Start one more kitchen; a client that speaks to it as a manager."""
        served = Served(create_kitchen_app(self.kitchen_settings(), **options))
        self.kitchens.append(served)
        await served.start()
        return self.client(served.url)

    def client(self, url: str, role: str = "manager") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {TOKENS[role]}"}
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=40, verify=trusted())
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()
        for served in self.kitchens:
            await served.stop()
        for upstream in (self.orders, self.menu):
            await upstream.served.stop()
        await self.connections.aclose()

    async def order(self, *items: OrderedItem, order_id: str | None = None, **more: Any) -> str:
        """A paid order comes in; its id."""
        order_id = order_id or new_id()
        await self.orders.tell(confirmed(*items, **more), order_id)
        return order_id

    async def told(self, subject: str) -> list[str]:
        """Short names of what the kitchen has published about a subject, in order, duplicates dropped."""
        return [
            event.type.removeprefix("pizzeria.").removesuffix(".v1") for event in await self.events(subject)
        ]

    async def events(self, subject: str | None = None) -> list[CloudEvent[Any]]:
        """What was on the kitchen's stream up to now."""
        entries: Any = await self.connections.commands.xrange(KITCHEN, min=self._read_up_to)
        for entry_id, fields in entries:
            event = decode_entry(fields)
            self._seen.setdefault(event.id, event)
            self._read_up_to = f"({entry_id.decode()}"
        return [event for event in self._seen.values() if subject is None or event.subject == subject]

    async def hears(self, subject: str, *types: str, within: float = 40) -> list[CloudEvent[Any]]:
        """Wait until the kitchen has published at least these types about a subject."""

        async def all_there() -> bool:
            return set(types) <= set(await self.told(subject))

        try:
            await eventually(all_there, within=within, every=0.02, what=f"{types} about {subject}")
        except AssertionError as error:
            raise AssertionError(f"{error}; told: {await self.told(subject)}") from None
        return await self.events(subject)

    async def dead_letters(self) -> list[Any]:
        """Events that the kitchen gave up on."""
        found: list[Any] = []
        for stream in (ORDERS, MENU):
            entries: Any = await self.connections.commands.xrange(dead_stream(stream))
            found += entries
        return found

    async def all_heard(self, client: httpx.AsyncClient) -> None:
        """Wait until the kitchen is through with every event of the order service."""
        head = (await self.client(self.orders.served.url, "service").get("/events/head")).json()["position"]

        async def there() -> bool:
            positions = (await client.get("/events/positions")).json()
            return bool(positions["inbox"].get(ORDERS, {}).get("position") == head)

        await eventually(there, within=40, every=0.05, what=f"position {head}")

    async def publish_again(self, stream: str, event: CloudEvent[Any]) -> None:
        """The same event once more on its stream."""
        await StreamPublisher(self.connections).publish(stream, [event])


@contextlib.asynccontextmanager
async def running(kitchens: Kitchens) -> AsyncIterator[Kitchens]:
    try:
        for upstream in (kitchens.orders, kitchens.menu):
            await upstream.served.start()
        yield kitchens
    finally:
        await kitchens.close()


async def insist(call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The first answer that is not "try again": a busy machine may say so."""
    for _ in range(100):
        answer = await call()
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"still unavailable: {answer.text}")


class Hands:
    """What somebody does in one kitchen."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def claim(
        self, station: str = "oven-1", *, wait: float = 5, key: str | None = None, patience: float = 30
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.client.post(
            f"/stations/{station}/claim", json={"wait_seconds": wait}, headers=headers, timeout=patience
        )

    async def take(self, station: str = "oven-1", *, wait: float = 20) -> Json:
        """A ticket that must be there; asked for again where the answer is to ask again."""
        deadline = time.monotonic() + 40
        while (answer := await self.claim(station, wait=wait)).status_code == 503:
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.2)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        ticket: Json = answer.json()
        return ticket

    async def complete(self, ticket: Json) -> httpx.Response:
        return await self._verb("complete", ticket)

    async def extend(self, ticket: Json) -> httpx.Response:
        return await self._verb("extend", ticket)

    async def fail(self, ticket: Json, reason: str = "burnt") -> httpx.Response:
        return await self._verb("fail", ticket, reason=reason)

    async def _verb(self, verb: str, ticket: Json, **more: str) -> httpx.Response:
        body = {"fencing_token": ticket["fencing_token"], **more}
        return await self.client.post(f"/tickets/{ticket['ticket_id']}/{verb}", json=body)

    async def stock(self) -> dict[str, Json]:
        answer = await self.client.get("/inventory")
        return {stock["ingredient"]: stock for stock in answer.json()["items"]}

    async def check_stock(self) -> dict[str, Json]:
        """Invariant I4, from outside."""
        stocks = await self.stock()
        for name, s in stocks.items():
            assert s["initial"] + s["restocked"] == s["in_stock"] + s["reserved"] + s["consumed"], name
            assert min(s["in_stock"], s["reserved"], s["consumed"]) >= 0, name
        return stocks

    async def held(self) -> dict[str, list[Json]]:
        """Tickets by station; invariant I8 on the way."""
        stations = (await self.client.get("/stations")).json()["items"]
        for station in stations:
            assert len(station["tickets"]) <= station["capacity"], station
        return {station["station_id"]: station["tickets"] for station in stations}
