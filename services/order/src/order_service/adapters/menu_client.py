"""The menu as this service prices by it: fetched, kept for moments, and a last good copy for outages."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx
import structlog
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.health import OK, Check
from pizzeria_chassis.telemetry import trace_headers
from pizzeria_chassis.tls import trusted
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.menu import Menu
from pydantic import ValidationError
from rediscore.breaker import CircuitBreaker, CircuitOpen, CountWindow
from rediscore.clock import Clock
from rediscore.metrics import Metrics
from sqlalchemy import insert, select, update

from order_service.adapters.tables import menu_copy
from order_service.domain.errors import MenuUnavailable

_log = structlog.get_logger(__name__)

TIMEOUT = 1.0
RETRY_PAUSE = timedelta(seconds=2)
_FAILURES = (httpx.HTTPError, ValidationError)
SAVE_EVERY = timedelta(seconds=60)


class MenuClient:
    """See `use_cases.ports.MenuSource`; also a component, because it owns the connection.

    Args:
        fresh: how old a copy may be without asking again.
        max_age: how old the last good copy may be while the menu service is away.
    """

    def __init__(
        self,
        url: str,
        *,
        database: Database,
        clock: Clock,
        fresh: timedelta,
        max_age: timedelta,
        metrics: Metrics | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._database = database
        self._clock = clock
        self._fresh = fresh
        self._max_age = max_age
        self._http: httpx.AsyncClient | None = None
        self._menu: Menu | None = None
        self._etag = ""
        self._fetched_at: datetime | None = None  # when it was asked for, not when the reply came
        self._edited_at: datetime | None = None
        self._saved: tuple[Menu, datetime] | None = None
        # One time-out is enough: no other order of an outage waits for its own.
        self.breaker = CircuitBreaker(
            "menu",
            window=CountWindow(1),
            failures=1,
            open_for=RETRY_PAUSE,
            probes=1,
            record=_FAILURES,
            metrics=metrics,
            clock=clock,
        )
        self._one_at_a_time = asyncio.Lock()
        self._reason = ""

    async def start(self) -> None:
        self._http = httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT, verify=trusted())

    async def stop(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {"menu": Check("degraded", self._reason) if self._reason else OK}

    async def current(self) -> Menu:
        """The menu, at most `fresh` old while its service answers within a second, else the last good copy.

        Callers that find it stale wait for one fetch together. Raises MenuUnavailable, DatabaseUnavailable.
        """
        if self._menu is not None and self._is_fresh():
            return self._menu
        async with self._one_at_a_time:
            if self._menu is not None and self._is_fresh():
                return self._menu
            await self._fetch(self._clock.now())
            if self._menu is None:
                await self._load()
        if self._menu is not None and self._younger_than(self._max_age):
            return self._menu
        raise MenuUnavailable

    def edited(self) -> None:
        """What was asked for until now counts as stale, also a reply that is still on its way."""
        self._edited_at = self._clock.now()

    def _is_fresh(self) -> bool:
        return self._younger_than(self._fresh) and (
            self._edited_at is None or (self._fetched_at is not None and self._fetched_at > self._edited_at)
        )

    def _younger_than(self, age: timedelta) -> bool:
        return self._fetched_at is not None and self._clock.now() - self._fetched_at < age

    async def _fetch(self, now: datetime) -> None:
        try:
            menu = await self.breaker.call(self._ask)
        except CircuitOpen:
            return
        except _FAILURES as error:
            self._reason = f"priced by the last good copy: {type(error).__name__}"
            _log.warning("menu_not_fetched", error=type(error).__name__)
            return
        self._menu, self._fetched_at, self._reason = menu, now, ""
        await self._save(menu, now)

    async def _ask(self) -> Menu:
        if self._http is None:
            raise RuntimeError("The menu client is used before its start.")
        known = {"If-None-Match": self._etag} if self._menu is not None and self._etag else {}
        answer = await self._http.get("/menu", headers={**trace_headers(), **known})
        if answer.status_code == httpx.codes.NOT_MODIFIED and self._menu is not None:
            return self._menu
        answer.raise_for_status()
        menu = Menu.model_validate_json(answer.content)
        self._etag = answer.headers.get("ETag", "")
        return menu

    async def _save(self, menu: Menu, now: datetime) -> None:
        if self._saved is not None and self._saved[0] == menu and now - self._saved[1] < SAVE_EVERY:
            return

        async def work(tx: Transaction) -> None:
            values = {"document": menu.model_dump_json(), "fetched_at": now}
            known = await tx.connection.execute(update(menu_copy).values(values).returning(menu_copy.c.id))
            if known.one_or_none() is None:
                await tx.connection.execute(insert(menu_copy).values(id=1, **values))

        try:
            await self._database.transact(work)
        except DatabaseUnavailable as error:
            _log.warning("menu_copy_not_saved", error=type(error).__name__)
            return
        self._saved = (menu, now)

    async def _load(self) -> None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(menu_copy))).one_or_none()
        if row is not None:
            self._menu = Menu.model_validate_json(row.document)
            self._fetched_at = row.fetched_at
