"""Analytics that runs on real Redis and a real database, and the services that it hears from."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from analytics_service import archive
from analytics_service.app import create_analytics_app
from analytics_service.picture import Picture, fold_from_nothing, picture_of, read_picture
from analytics_service.projections import Generation, Projections
from analytics_service.projector import Projector, day_of
from analytics_service.settings import AnalyticsSettings
from analytics_service.tally import board_table
from fastapi import FastAPI
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import feed_router
from pizzeria_chassis.history import history, stamped
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.migrations import migrate
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import TOKENS, caller, create_chassis_tables_now, running, serving
from pizzeria_chassis.testing.relays import all_sent
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderConfirmed, OrderPlaced, Payload, PaymentCaptured
from pizzeria_contracts.streams import KITCHEN, MENU, ORDERS
from pydantic import SecretStr
from rediscore.breaker import CircuitBreaker
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.settings import RedisSettings
from rediscore.streams import CloudEvent, RawEvent
from rediscore.testing import eventually, patient_settings

STREAMS = {"order": ORDERS, "kitchen": KITCHEN, "menu": MENU}


def order_of(pizza_id: str, quantity: int = 1, total: str = "12.99") -> list[Payload]:
    """What the order service tells about an order until it is paid."""
    content: dict[str, Any] = {
        "customer_id": "c-1",
        "items": [{"pizza_id": pizza_id, "size": "medium", "quantity": quantity, "unit_price": total}],
        "total": total,
    }
    return [OrderPlaced(**content), PaymentCaptured(amount=total), OrderConfirmed(**content)]


def captured(number: int, *, at: datetime | None = None, **data: Any) -> RawEvent:
    """An event as it comes from a stream: one euro was paid for an order."""
    return RawEvent(
        id=f"e-{number}",
        source="/pizzeria/order",
        type=PaymentCaptured.event_type,
        subject=f"o-{number}",
        time=at or datetime.now(UTC),
        data={"amount": "1.00", **data},
    )


def confirmed(number: int, pizza_id: str, *, at: datetime | None = None) -> RawEvent:
    """An event as it comes from a stream: an order of one pizza is confirmed."""
    data = order_of(pizza_id)[-1].model_dump(mode="json")
    return captured(number, at=at).model_copy(update={"type": OrderConfirmed.event_type, "data": data})


class Upstream:
    """A service as far as analytics is concerned: an outbox, its relay, and the feed."""

    def __init__(self, name: str, folder: Path, redis_url: str) -> None:
        self.name = name
        self.stream = STREAMS[name]
        self.url = ""
        self._database = Database(f"sqlite:///{folder / f'{name}.db'}", source=f"/pizzeria/{name}")
        self._connections = RedisConnections(patient_settings(redis_url))
        self._relay = Relay(self._database, self._connections, streams=[self.stream])

    async def tell(self, *payloads: Payload, subject: str) -> list[CloudEvent[Any]]:
        """Something happened there."""

        async def work(tx: Transaction) -> list[CloudEvent[Any]]:
            return [await tx.append(payload, subject=subject) for payload in payloads]

        return await self._database.transact(work)

    async def told(self) -> list[RawEvent]:
        """All that ever happened there, once it has its places."""
        await eventually(lambda: all_sent(self._database), what="all is relayed")
        async with self._database.read() as connection:
            return [stamped(row)[1] for row in await history(connection, after=0, limit=100_000)]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Upstream"]:
        await create_chassis_tables_now(self._database)
        app = create_app(
            Service(
                name=self.name,
                description="Stand-in.",
                authenticator=Authenticator({role: SecretStr(token) for role, token in TOKENS.items()}),
                routers=[feed_router(self._database)],
                components=[self._relay],
            )
        )
        try:
            async with serving(app) as self.url:
                yield self
        finally:
            await self._connections.aclose()
            await self._database.aclose()


@dataclass
class House:
    """The three services that analytics hears from, and where analytics keeps what it knows."""

    order: Upstream
    kitchen: Upstream
    menu: Upstream
    database_url: str
    redis_url: str

    async def place(self, pizza_id: str, quantity: int = 1, total: str = "12.99") -> str:
        """An order is placed and paid; returns its id."""
        order_id = new_id()
        await self.order.tell(*order_of(pizza_id, quantity, total), subject=order_id)
        return order_id

    @contextlib.asynccontextmanager
    async def guests(self, random: Random, every: float) -> AsyncIterator[None]:
        """Orders come in for as long as the block runs; none of them is broken off by its end."""
        closed = asyncio.Event()

        async def place_orders() -> None:
            while not closed.is_set():
                await self.place(random.choice(["margherita", "hawaiian"]))
                await asyncio.sleep(every)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(place_orders())
            try:
                yield
            finally:
                closed.set()

    def settings(self, **values: Any) -> AnalyticsSettings:
        return AnalyticsSettings(
            **{
                "environment": "production",
                "database_url": self.database_url,
                "redis": RedisSettings.from_url(self.redis_url),
                "order_url": self.order.url,
                "kitchen_url": self.kitchen.url,
                "menu_url": self.menu.url,
                "projector_seconds": 0.2,
                **{f"{role}_token": token for role, token in TOKENS.items()},
                **values,
            }
        )

    def environment(self, **values: str) -> dict[str, str]:
        """The same settings for a process."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "ORDER_URL": self.order.url,
            "KITCHEN_URL": self.kitchen.url,
            "MENU_URL": self.menu.url,
            "PROJECTOR_SECONDS": "0.2",
            "STREAM_LEASE_SECONDS": "1",
            **{f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
            **values,
        }

    @contextlib.asynccontextmanager
    async def analytics(self, **values: Any) -> AsyncIterator["Analytics"]:
        """An analytics service that runs in this process."""
        async with running(create_analytics_app(self.settings(**values))) as app:
            opened = Analytics(app)
            async with opened.guest, opened.manager, opened.service:
                yield opened


class Analytics:
    """An analytics service that runs."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.guest = caller(app)
        self.manager = caller(app, "manager")
        self.service = caller(app, "service")

    async def get(self, path: str, **params: Any) -> Any:
        """What a manager is answered."""
        answer = await self.manager.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def archived(self, events: int) -> None:
        """Wait until that many events are in the archive and counted."""

        async def is_so() -> bool:
            answer = await self.manager.get("/projections")
            if answer.status_code == 503:  # a busy machine; told to ask again
                return False
            state = answer.json()
            return bool(state["archive_head"] == state["checkpoint"] and state["archive_head"] >= events)

        await eventually(is_so, within=40, what=f"{events} events are archived and counted")


class Later:
    """The clock of a machine, ahead by some time."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Books:
    """Archive and projections, beside the service or without it."""

    database: Database
    connections: RedisConnections
    projections: Projections

    def projector(self, ahead: timedelta = timedelta()) -> Projector:
        return Projector(self.database, self.projections, Later(ahead))

    async def keep(self, *events: RawEvent) -> None:
        """Put events into the archive, as the streams would."""
        await migrate(self.database, "analytics_service")

        async def work(tx: Transaction) -> None:
            await archive.append(tx, ORDERS, events)

        await self.database.transact(work)

    async def count(self, ahead: timedelta = timedelta()) -> None:
        """Let a projector step until there is nothing to do."""
        projector = self.projector(ahead)
        while await projector.step():
            pass

    async def events(self) -> list[RawEvent]:
        async with self.database.read() as connection:
            return [row.event for row in await archive.since(connection, 0, limit=100_000)]

    async def live(self) -> Generation | None:
        return (await self.projections.control()).live

    async def expected(self, ahead: timedelta = timedelta()) -> Picture:
        """A fold over the archive from nothing."""
        async with self.database.read() as connection:
            head = await archive.head(connection)
        return picture_of(await fold_from_nothing(self.database, head), day_of(Later(ahead).now()))

    async def found(self, ahead: timedelta = timedelta()) -> Picture:
        """What Redis holds; nothing while nothing is live."""
        live = await self.live()
        if live is None:
            return {}
        return await read_picture(self.projections, live.name, day_of(Later(ahead).now()))

    async def popular(self) -> dict[str, int]:
        """The board of pizzas of all time, as it is listed."""
        async with self.projections.reading() as live:
            return dict(
                await self.projections.best(live, board_table("pizzas", "all", datetime.now(UTC)), 100)
            )

    async def all_counted(self, events: int) -> bool:
        """Whether that many events are archived and all of them are counted."""
        counted = await self.checkpoint()  # first: what is archived meanwhile is not counted yet
        return counted == len(await self.events()) == events

    async def checkpoint(self) -> int:
        live = await self.live()
        return live.checkpoint.seq if live else 0


@contextlib.asynccontextmanager
async def open_books(database_url: str, redis_url: str) -> AsyncIterator[Books]:
    database = Database(database_url, source="/test")
    connections = RedisConnections(patient_settings(redis_url))
    try:
        yield Books(
            database,
            connections,
            Projections(connections, KeySpace("analytics"), breaker=CircuitBreaker("redis")),
        )
    finally:
        await connections.aclose()
        await database.aclose()


def ids(events: Sequence[CloudEvent[Any]]) -> list[str]:
    return [event.id for event in events]
