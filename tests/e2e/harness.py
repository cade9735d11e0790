"""The pizzeria under test: its people, its faults, and what must hold whatever happened.

A test plays everybody itself and step by step: nobody cooks or delivers unless it says so. All
tests of a back end share one running pizzeria, so a test ends what it began (`close_shop`).
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self, TypeVar

import httpx
import redis.asyncio
import redis.asyncio.retry
import redis.backoff

from tests.e2e import harness_invariants, harness_snapshot
from tests.e2e.harness_backends import BackEnd
from tests.e2e.harness_people import Cook, Driver, Guest
from tests.e2e.harness_snapshot import Diary, Json

T = TypeVar("T")
_EVERY = 0.05


class Pizzeria:
    """One running system on one back end. Use it as an async context manager.

    Attributes:
        diary: what the people of the tests remember; the invariants compare the system with it.
        store: a client of our own for its Redis.
        http: a client of our own for its services.
    """

    diary: Diary
    http: httpx.AsyncClient
    store: redis.asyncio.Redis

    def __init__(self, back_end: BackEnd) -> None:
        self.back_end = back_end
        self._turn: dict[str, Iterator[str]] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.back_end.stop)
            await self.back_end.start()
            self.diary = Diary()
            self.http = await undo.enter_async_context(httpx.AsyncClient(timeout=15))
            self.store = await undo.enter_async_context(
                redis.asyncio.Redis.from_url(
                    self.back_end.redis_url,
                    socket_timeout=5,
                    retry=redis.asyncio.retry.Retry(redis.backoff.ConstantBackoff(0.1), 20),
                )
            )
            self.ask_all()
            stations = (await self.read("kitchen", "/stations"))["items"]
            self.diary.capacity.update({found["station_id"]: found["capacity"] for found in stations})
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    # Calls

    def ask_all(self) -> None:
        """Calls go to each replica of a service in turn."""
        self._turn = {service: itertools.cycle(urls) for service, urls in self.back_end.urls.items()}

    def ask_only(self, service: str, number: int) -> None:
        """Calls to this service go to one replica alone, counted from 0."""
        self._turn[service] = itertools.repeat(self.back_end.urls[service][number])

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        token: str | None = None,
        role: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 15,
    ) -> httpx.Response:
        """One HTTP call, to each replica in turn. Raises: httpx.TransportError."""
        bearer = self.back_end.tokens[role] if role else token
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        url = next(self._turn[service]) + path
        return await self.http.request(method, url, json=body, headers=sent, timeout=seconds)

    async def read(self, service: str, path: str, role: str = "manager") -> Json:
        """The body of a GET that must succeed."""
        answer = await self.call(service, "GET", path, role=role)
        assert answer.status_code == 200, f"{service} {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    # People

    async def guest(self) -> Guest:
        """Somebody who has just signed in."""
        return await Guest.sign_in(self)

    def cook(self, station: str = "oven-1") -> Cook:
        """Whoever works at a station."""
        return Cook(self, station)

    def driver(self) -> Driver:
        return Driver(self)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Cooks at all stations and a driver work until the block ends, whatever breaks around them."""
        # They end between two tickets: a claim that is cut off in mid-air would take one with it for a lease.
        closing = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for station in self.diary.capacity:
                group.create_task(self.cook(station).work(closing))
            group.create_task(self.driver().work(closing))
            try:
                yield
            finally:
                closing.set()

    # Looking on

    async def order(self, order_id: str) -> Json:
        """An order as the manager sees it."""
        view = await self.read("order", f"/orders/{order_id}")
        self.diary.saw(order_id, view["status"])
        return view

    async def reaches(self, order_id: str, status: str, *, within: float = 40) -> Json:
        """The order once it has that status."""

        async def there() -> Json:
            view = await self.order(order_id)
            assert view["status"] == status, f"order {order_id} is {view['status']}, not {status}"
            return view

        return await self.eventually(there, within=within, order=order_id)

    async def events(self, order_id: str, stream: str = "orders.events") -> list[str]:
        """Kinds of the events of one order in a durable feed, in order: `order.placed` …"""
        service = next(name for name, found in harness_snapshot.STREAMS.items() if found == stream)
        feed = await harness_snapshot.feed(self, service)
        return [harness_invariants.kind(event) for event in feed if event["subject"] == order_id]

    async def eventually(
        self, check: Callable[[], Awaitable[T]], *, within: float = 40, order: str | None = None
    ) -> T:
        """What `check` returns once it raises no AssertionError and reaches the service.

        Raises: AssertionError after `within` seconds, with the journey of the order.
        """
        deadline = time.monotonic() + within
        while True:
            try:
                return await check()
            except (AssertionError, httpx.TransportError) as error:
                if time.monotonic() > deadline:
                    story = await self._journey(order) if order else ""
                    raise AssertionError(f"not within {within} s: {error!r}{story}") from error
            await asyncio.sleep(_EVERY)

    async def _journey(self, order_id: str) -> str:
        try:
            journey = await self.read("order", f"/orders/{order_id}/journey")
        except (AssertionError, httpx.TransportError) as error:
            return f"\nno journey of {order_id}: {error!r}"
        lines = "\n".join(f"  {json.dumps(step)}" for step in journey["items"])
        return f"\njourney of order {order_id}:\n{lines}"

    # Faults

    async def kill(self, process: str) -> None:
        """kill -9, and proof that it was another one that came up again."""
        before = await self.back_end.incarnation(process)
        await self.back_end.kill(process)
        await self.back_end.up(process)
        assert await self.back_end.incarnation(process) != before, f"{process} was not killed"

    @asynccontextmanager
    async def paused(self, *processes: str) -> AsyncIterator[None]:
        """These do nothing until the block ends."""
        try:
            for process in processes:
                await self.back_end.pause(process)
            yield
        finally:
            for process in processes:
                await self.back_end.resume(process)

    # What must hold

    async def close_shop(self, within: float = 40) -> None:
        """Cook and deliver until every accepted order has ended."""

        async def over() -> None:
            open_orders = [order for order in self.diary.accepted if not self.diary.ended(order)]
            for order_id in open_orders:
                view = await self.order(order_id)
                assert view["status"] in harness_snapshot.TERMINAL, f"{order_id} is {view['status']}"

        async with self.at_work():
            open_orders = [order for order in self.diary.accepted if not self.diary.ended(order)]
            await self.eventually(over, within=within, order=next(iter(open_orders), None))

    async def check_invariants(self, within: float = 40) -> None:
        """End all orders, wait until nothing moves, and check I1-I9 on everything since the start.

        Raises: AssertionError with a line for everything that breaks an invariant.
        """
        await self.close_shop()

        async def hold() -> None:
            seen = await harness_snapshot.take(self, self.store, self.diary)
            found = harness_invariants.broken(seen)
            assert found == [], "\n".join(found)

        await self.eventually(hold, within=within)
