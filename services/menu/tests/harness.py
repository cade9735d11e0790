"""Menus that run on real Redis and a real database, and a kitchen as the menu sees one."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import FastAPI
from menu_service.app import create_menu_app
from menu_service.settings import MenuSettings
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.database import Database
from pizzeria_chassis.feed import feed_router
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import TOKENS, caller, create_chassis_tables_now, running, serving
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import Payload
from pizzeria_contracts.streams import KITCHEN
from pydantic import SecretStr
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.streams import CloudEvent
from rediscore.testing import eventually, patient_settings

NOWHERE = "http://127.0.0.1:9"


def settings(database_url: str, redis_url: str, **values: Any) -> MenuSettings:
    """Settings of a menu with the test tokens, whose kitchen does not answer unless said otherwise."""
    return MenuSettings(
        **{
            "environment": "production",
            "database_url": database_url,
            "redis": RedisSettings.from_url(redis_url),
            "kitchen_url": NOWHERE,
            "menu_cache_patience_seconds": 5,  # a loaded machine is not what these tests are about
            **{f"{role}_token": token for role, token in TOKENS.items()},
            **values,
        }
    )


class Menu:
    """A menu that runs; `guest` and `manager` are two who call it."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.guest = caller(app)
        self.manager = caller(app, "manager")
        self.service = caller(app, "service")

    async def item(self, pizza_id: str) -> dict[str, Any]:
        """The pizza as it is in the database."""
        answer = await self.guest.get(f"/menu/{pizza_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def listed(self, pizza_id: str) -> dict[str, Any] | None:
        """The pizza as the whole menu shows it, which may be a copy."""
        answer = await self.guest.get("/menu")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] | None = next(
            (item for item in answer.json()["items"] if item["id"] == pizza_id), None
        )
        return found

    async def patch(self, pizza_id: str, version: int, **fields: Any) -> httpx.Response:
        """A manager's change based on that version."""
        return await self.manager.patch(
            f"/menu/{pizza_id}", json=fields, headers={"If-Match": f'"{version}"'}
        )

    async def told(self, *, after: int = 0) -> list[CloudEvent[dict[str, Any]]]:
        """The feed of the menu once all of it has a position."""

        async def all_sent() -> bool:
            outbox = (await self.service.get("/events/positions")).json()["outbox"]
            return bool(outbox["head"] == (await self.service.get("/events/head")).json()["position"])

        await eventually(all_sent, what="every event has a position")
        page = (await self.service.get("/events", params={"after": after, "limit": 500})).json()
        return [CloudEvent[dict[str, Any]].model_validate(event) for event in page["items"]]


@contextlib.asynccontextmanager
async def open_menu(database_url: str, redis_url: str, **values: Any) -> AsyncIterator[Menu]:
    """A menu service that runs in this process."""
    async with running(create_menu_app(settings(database_url, redis_url, **values))) as app:
        menu = Menu(app)
        async with menu.guest, menu.manager, menu.service:
            yield menu


class Kitchen:
    """A kitchen as far as the menu is concerned: an outbox, its relay, and the feed."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.url = ""
        self._database = Database(database_url, source="/pizzeria/kitchen")
        self._connections = RedisConnections(patient_settings(redis_url))
        self._relay = Relay(self._database, self._connections, streams=[KITCHEN])

    async def tell(self, payload: Payload, *, subject: str) -> CloudEvent[Any]:
        """Something happened in the kitchen."""

        async def work(tx: Transaction) -> CloudEvent[Any]:
            return await tx.append(payload, subject=subject)

        return await self._database.transact(work)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Kitchen"]:
        await create_chassis_tables_now(self._database)
        app = create_app(
            Service(
                name="kitchen",
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
