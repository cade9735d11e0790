"""Guest, cook and driver: everybody does one thing at a time, over HTTP, and remembers it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import httpx

from tests.e2e.harness_snapshot import Grant, Json

if TYPE_CHECKING:
    from tests.e2e.harness import Pizzeria

T = TypeVar("T")

ONE_MARGHERITA: list[Json] = [{"pizza_id": "margherita", "size": "medium", "toppings": [], "quantity": 1}]
_PATIENCE = 20.0


def pizzas(pizza_id: str = "margherita", *, quantity: int = 1, size: str = "medium") -> list[Json]:
    """The items of an order for one kind of pizza."""
    return [{"pizza_id": pizza_id, "size": size, "toppings": [], "quantity": quantity}]


@dataclass(frozen=True)
class Guest:
    """A customer with a session."""

    shop: "Pizzeria"
    id: str
    token: str

    @classmethod
    async def sign_in(cls, shop: "Pizzeria") -> Self:
        answer = await shop.call("order", "POST", "/sessions", body={"name": "Ada"})
        assert answer.status_code == 201, answer.text
        session = answer.json()
        return cls(shop, session["customer_id"], session["token"])

    async def send_order(self, body: Json, *, key: str | None = None) -> httpx.Response:
        """One `POST /orders`, whatever the answer. A 201 is remembered."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self.shop.call(
            "order", "POST", "/orders", token=self.token, body=body, headers=headers
        )
        if answer.status_code == 201:
            self.shop.diary.accept(answer.json()["id"])
        return answer

    async def place(self, items: list[Json] | None = None, *, pay: str = "tok_approved", **more: Any) -> Json:
        """An accepted order. Sends it again, with the same key, while the service is away."""
        body = {"items": items or ONE_MARGHERITA, "payment": {"token": pay}, **more}
        key = str(uuid4())

        async def accepted() -> Json:
            answer = await self.send_order(body, key=key)
            assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
            order: Json = answer.json()
            return order

        return await self.shop.eventually(accepted, within=_PATIENCE)

    async def look(self, order_id: str) -> httpx.Response:
        return await self.shop.call("order", "GET", f"/orders/{order_id}", token=self.token)

    async def cancel(self, order_id: str) -> httpx.Response:
        return await self.shop.call("order", "POST", f"/orders/{order_id}/cancel", token=self.token)


@dataclass(frozen=True)
class Ticket:
    """A pizza to cook, and the right to finish it."""

    id: str
    order_id: str
    token: int
    lease_until: datetime


@dataclass(frozen=True)
class Cook:
    """Works at one station, with the token of all cooks."""

    shop: "Pizzeria"
    station: str

    async def claim(self, *, wait: float = 5.0, claim_id: str | None = None) -> Ticket | None:
        """A ticket, or None when none came within `wait` seconds. Raises: httpx.TransportError."""
        answer = await self.shop.call(
            "kitchen",
            "POST",
            f"/stations/{self.station}/claim",
            role="cook",
            body={"wait_seconds": wait},
            headers={"Idempotency-Key": claim_id or str(uuid4())},
            seconds=wait + 10,
        )
        if answer.status_code == 204:
            return None
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        found = answer.json()
        lease = datetime.fromisoformat(found["lease_until"])
        ticket = Ticket(found["ticket_id"], found["order_id"], found["fencing_token"], lease)
        grant = Grant(self.station, ticket.id, ticket.order_id, ticket.token)
        self.shop.diary.granted(grant, lease, datetime.now(UTC))
        return ticket

    async def take(self, order_id: str) -> Ticket:
        """A ticket of this order; there must be no other in the queue."""

        async def taken() -> Ticket:
            ticket = await self.claim(wait=2)
            assert ticket is not None, f"no ticket for order {order_id}"
            return ticket

        ticket = await self.shop.eventually(taken, order=order_id)
        assert ticket.order_id == order_id
        return ticket

    async def complete(self, ticket: Ticket) -> httpx.Response:
        """Tell that it is cooked. Raises: httpx.TransportError."""
        diary = self.shop.diary
        diary.lays_down(self.station, ticket.id)
        answer = await self.shop.call(
            "kitchen",
            "POST",
            f"/tickets/{ticket.id}/complete",
            role="cook",
            body={"fencing_token": ticket.token},
        )
        if answer.is_success:
            diary.finished.append((ticket.id, ticket.token))
        return answer

    async def extend(self, ticket: Ticket) -> httpx.Response:
        """Ask for another lease."""
        path = f"/tickets/{ticket.id}/extend"
        return await self.shop.call(
            "kitchen", "POST", path, role="cook", body={"fencing_token": ticket.token}
        )

    async def cook(self, order_id: str, *, within: float = 40) -> None:
        """All tickets of the order, until it is ready. Others that lie in between are cooked too."""

        async def ready() -> None:
            while (ticket := await self.claim(wait=0)) is not None:
                assert (await self.complete(ticket)).status_code in (200, 204)
            view = await self.shop.order(order_id)
            assert view["status"] == "ready", f"order {order_id} is {view['status']}, not ready"

        await self.shop.eventually(ready, within=within, order=order_id)

    async def work(self, closing: asyncio.Event) -> None:
        """Cook whatever there is until `closing`; a service that is away is asked again."""
        while not closing.is_set():
            claim_id = str(uuid4())
            ticket = await _until_answered(lambda: self.claim(wait=0.3, claim_id=claim_id), closing)  # noqa: B023
            if ticket is not None:
                await _until_answered(lambda: self._hand_in(ticket), closing)  # noqa: B023

    async def _hand_in(self, ticket: Ticket) -> None:
        answer = await self.complete(ticket)
        assert answer.status_code < 500, answer.text


@dataclass(frozen=True)
class Driver:
    """Takes ready orders to their guests, with the token of all drivers."""

    shop: "Pizzeria"

    async def start(self, order_id: str) -> httpx.Response:
        return await self.shop.call("kitchen", "POST", f"/deliveries/{order_id}/start", role="driver")

    async def arrive(self, order_id: str) -> httpx.Response:
        return await self.shop.call("kitchen", "POST", f"/deliveries/{order_id}/complete", role="driver")

    async def deliver(self, order_id: str) -> Json:
        """From ready to delivered."""
        for step in (self.start, self.arrive):
            answer = await step(order_id)
            assert answer.is_success, f"{answer.status_code} {answer.text}"
        return await self.shop.reaches(order_id, "delivered")

    async def work(self, closing: asyncio.Event) -> None:
        """Deliver whatever is ready until `closing`."""
        while not closing.is_set():
            await _until_answered(self._round, closing)
            await asyncio.sleep(0.1)

    async def _round(self) -> None:
        waiting = (await self.shop.read("kitchen", "/deliveries", "driver"))["items"]
        for order_id in (delivery["order_id"] for delivery in waiting):
            for step in (self.start, self.arrive):
                answer = await step(order_id)
                assert answer.status_code < 500, answer.text


async def _until_answered(act: Callable[[], Awaitable[T]], closing: asyncio.Event) -> T | None:
    """What `act` returns once it reaches the service and is not sent away; None after `closing`."""
    while True:
        try:
            return await act()
        except (AssertionError, httpx.TransportError):
            if closing.is_set():
                return None
            await asyncio.sleep(0.1)
