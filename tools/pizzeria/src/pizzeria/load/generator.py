"""Sends orders by a plan that does not wait for answers, and follows what was accepted to its end."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from itertools import cycle
from random import Random
from typing import Any, Final

import httpx

from pizzeria.errors import CallFailedError
from pizzeria.load.record import ENDS, Record, Sent

REQUEST_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
PAGE: Final = 100
# One guest may place 120 orders a minute; a load is many guests.
ORDERS_PER_GUEST_AND_MINUTE: Final = 60
MOST_UNDERWAY: Final = 2000


class LoadGenerator:
    """One load. `run` it once; `record` grows meanwhile and may be looked at at any time.

    The plan is a Poisson process: pauses are random, and no answer is waited for. When 2000 requests are on
    their way, further ones count as unanswered without being sent: the machine that sends is at its end.

    Args:
        rate: orders per second, on average.
        duration: seconds for which orders are sent.
        settle: seconds that accepted orders then have to end.
        express: share of express orders.
        manager: the token with which it looks at the orders of all guests at once.
    """

    def __init__(
        self,
        order_url: str,
        menu_url: str,
        *,
        rate: float,
        duration: float,
        settle: float,
        express: float,
        manager: str,
        random: Random,
    ) -> None:
        self.record = Record(rate, duration)
        self._order_url = order_url
        self._menu_url = menu_url
        self._settle = settle
        self._express = express
        self._manager = {"Authorization": f"Bearer {manager}"}
        self._random = random
        self._began = 0.0
        self._guests: list[str] = []
        self._pizzas: list[str] = []
        self._by_id: dict[str, Sent] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the first order was due; 0 before."""
        return time.monotonic() - self._began if self._began else 0.0

    async def run(self) -> None:
        """Send, follow, return when all accepted orders have ended or `settle` is over.

        Raises: CallFailedError when the pizzeria cannot be ordered from at all.
        """
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS, limits=limits) as http:
            self._pizzas = await self._menu(http)
            await self._sign_in(http)
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._follow(http))
                await self._send_all(http)
                deadline = time.monotonic() + self._settle
                while self.record.open and time.monotonic() < deadline:  # noqa: ASYNC110  it looks once a second
                    await asyncio.sleep(0.1)
                following.cancel()

    async def _menu(self, http: httpx.AsyncClient) -> list[str]:
        answer = await _asked(lambda: http.get(f"{self._menu_url}/menu"))
        pizzas = [item["id"] for item in answer.json()["items"] if item["available"]]
        if not pizzas:
            raise CallFailedError("Nothing on the menu can be ordered: see `pizzeria menu`.")
        return pizzas

    async def _sign_in(self, http: httpx.AsyncClient) -> None:
        count = max(1, round(self.record.rate * 60 / ORDERS_PER_GUEST_AND_MINUTE))
        for number in range(count):
            body = {"name": f"Load {number}"}
            answer = await _asked(lambda body=body: http.post(f"{self._order_url}/sessions", json=body))  # type: ignore[misc]
            self._guests.append(answer.json()["token"])

    async def _send_all(self, http: httpx.AsyncClient) -> None:
        guests = cycle(self._guests)
        due = 0.0
        underway: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while (due := due + self._random.expovariate(self.record.rate)) < self.record.duration:
                await asyncio.sleep(max(0.0, due - self.elapsed))
                sent = Sent(due)
                self.record.sent.append(sent)
                if len(underway) >= MOST_UNDERWAY:
                    sent.outcome = "unanswered"
                    continue
                task = group.create_task(self._send(http, sent, next(guests), self._order()))
                underway.add(task)
                task.add_done_callback(underway.discard)

    def _order(self) -> dict[str, Any]:
        return {
            "items": [{"pizza_id": self._random.choice(self._pizzas), "size": "medium", "quantity": 1}],
            "priority": "express" if self._random.random() < self._express else "standard",
            "payment": {"token": "tok_approved"},
        }

    async def _send(self, http: httpx.AsyncClient, sent: Sent, guest: str, order: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {guest}", "Idempotency-Key": str(uuid.uuid4())}
        try:
            answer = await http.post(f"{self._order_url}/orders", json=order, headers=headers)
        except httpx.HTTPError:
            # It may have been accepted: nobody knows, and so it is not followed.
            sent.outcome = "unanswered"
            return
        sent.answered = self.elapsed
        if answer.status_code == httpx.codes.CREATED:
            sent.outcome, sent.order_id = "accepted", answer.json()["id"]
            self._by_id[answer.json()["id"]] = sent
            return
        sent.outcome = {422: "sold_out", 429: "refused", 503: "unavailable"}.get(answer.status_code, "failed")
        if (pause := answer.headers.get("Retry-After", "")).isdigit():
            sent.retry_after = float(pause)

    async def _follow(self, http: httpx.AsyncClient) -> None:
        """Look at the menu and at all orders once a second; for ever."""
        while True:
            # What cannot be had now, because a service is away, the next round asks for again.
            with contextlib.suppress(CallFailedError):
                self._pizzas = await self._menu(http)
            with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
                await self._look(http)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, http: httpx.AsyncClient) -> None:
        """Newest first, until nothing that is still open can come."""
        left = {one.order_id for one in self.record.open}
        after: str | None = None
        while True:
            answer = await http.get(
                f"{self._order_url}/orders",
                params={"limit": str(min(PAGE, len(left) + 5)), **({"after": after} if after else {})},
                headers=self._manager,
            )
            page = answer.raise_for_status().json()
            for item in page["items"]:
                self._note(item["id"], item["status"])
                left.discard(item["id"])
            after = page["next"]
            if after is None or not left:
                return

    def _note(self, order_id: str, status: str) -> None:
        sent = self._by_id.get(order_id)
        if sent is None or sent.status in ENDS:
            return
        sent.status = status
        if status in ENDS:
            sent.ended = self.elapsed


async def _asked(call: Callable[[], Any]) -> httpx.Response:
    """Raises: CallFailedError."""
    try:
        answer: httpx.Response = await call()
        return answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise CallFailedError(
            f"{error.request.url.path} was refused ({error.response.status_code}): try again in a minute."
        ) from error
    except httpx.HTTPError as error:
        raise CallFailedError(f"The pizzeria does not answer: {type(error).__name__}.") from error
