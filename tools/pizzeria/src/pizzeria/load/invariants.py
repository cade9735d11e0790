"""The invariants that can be checked from outside, over HTTP, after a load."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from pizzeria.errors import UnavailableError
from pizzeria.load.record import ENDS, Record
from pizzeria.state import State

CONSUMERS: Mapping[str, Mapping[str, str]] = {
    "order": {"kitchen.events": "kitchen"},
    "kitchen": {"orders.events": "order", "menu.events": "menu"},
    "menu": {"kitchen.events": "kitchen"},
    "analytics": {"orders.events": "order", "kitchen.events": "kitchen", "menu.events": "menu"},
}
REST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One invariant: what it says, every sentence about what breaks it, or why it cannot be told yet."""

    id: str
    claim: str
    broken: tuple[str, ...] = ()
    pending: str = ""

    @property
    def word(self) -> str:
        """`holds`, `not yet`, or `BROKEN`."""
        return "BROKEN" if self.broken else "not yet" if self.pending else "holds"


async def dead_letters(state: State) -> Counter[str]:
    """How many events each service gave up on, by `service: stream`."""
    async with httpx.AsyncClient(timeout=10) as http:
        return await House(http, state).dead()


async def verdicts(state: State, record: Record, *, dead_before: Counter[str]) -> list[Verdict]:
    """Check what a load must not have broken. Waits up to 20 s until the house is at rest."""
    async with httpx.AsyncClient(timeout=10) as http:
        house = House(http, state)
        orders = [await house.order(one.order_id) for one in record.accepted if one.order_id]
        return [
            Verdict("I1", "every accepted order has ended once", pending=_unended(orders)),
            Verdict("I2", "what is kept is the total of what was delivered", tuple(_money(orders))),
            Verdict("I4", "the stock adds up and is never negative", tuple(_stock(await house.inventory()))),
            Verdict("I5", "at rest all is sent and every consumer at the head", pending=await house.unrest()),
            Verdict("I8", "no station holds more than its capacity", tuple(_full(await house.stations()))),
            Verdict("I9", "no event became a dead letter", tuple(_new(dead_before, await house.dead()))),
        ]


class House:
    """Reads as the manager."""

    def __init__(self, http: httpx.AsyncClient, state: State) -> None:
        self._http = http
        self._urls = {name: endpoint.url for name, endpoint in state.services.items()}
        self._manager = {"Authorization": f"Bearer {state.tokens['manager']}"}

    async def order(self, order_id: str) -> dict[str, Any]:
        return await self._read("order", f"/orders/{order_id}")

    async def inventory(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._read("kitchen", "/inventory"))["items"]
        return items

    async def stations(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._read("kitchen", "/stations"))["items"]
        return items

    async def unrest(self) -> str:
        """What is not at rest, after waiting for it."""
        deadline = asyncio.get_running_loop().time() + REST_SECONDS
        while unrest := [sentence async for sentence in self._unrest()]:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.5)
        return "; ".join(unrest)

    async def dead(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for service in CONSUMERS:
            inbox = (await self._read(service, "/events/positions"))["inbox"]
            found.update({f"{service}: {stream}": position["dead"] for stream, position in inbox.items()})
        return found

    async def _unrest(self) -> AsyncIterator[str]:
        positions = {service: await self._read(service, "/events/positions") for service in CONSUMERS}
        for service, seen in positions.items():
            outbox = seen["outbox"]
            if outbox["head"] != outbox["sent"]:
                yield f"{service} has sent {outbox['sent']} of {outbox['head']} events"
            for stream, owner in CONSUMERS[service].items():
                at, head = (
                    seen["inbox"].get(stream, {}).get("position", 0),
                    positions[owner]["outbox"]["head"],
                )
                if at != head:
                    yield f"{service} stands at {at} of {head} in {stream}"

    async def _read(self, service: str, path: str) -> dict[str, Any]:
        """Raises: UnavailableError."""
        try:
            answer = await self._http.get(f"{self._urls[service]}{path}", headers=self._manager)
            found: dict[str, Any] = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            raise UnavailableError(f"{service} does not tell how it is: {type(error).__name__}.") from error
        return found


def _new(before: Counter[str], now: Counter[str]) -> Iterator[str]:
    yield from (f"{count} new of {where}" for where, count in (now - before).items())


def _unended(orders: list[dict[str, Any]]) -> str:
    still_open = [order for order in orders if order["status"] not in ENDS]
    return f"{len(still_open)} have not: wait longer with --settle" if still_open else ""


def _money(orders: list[dict[str, Any]]) -> Iterator[str]:
    for order in orders:
        payment = order["payment"]
        kept = _amount(payment["captured"]) - _amount(payment["refunded"])
        due = _amount(order["total"]) if order["status"] == "delivered" else Decimal(0)
        if order["status"] in ENDS and kept != due:
            yield f"{order['id']} is {order['status']}, and {kept} was kept instead of {due}"


def _stock(inventory: list[dict[str, Any]]) -> Iterator[str]:
    for stock in inventory:
        parts = stock["in_stock"], stock["reserved"], stock["consumed"]
        if stock["initial"] + stock["restocked"] != sum(parts) or min(parts) < 0:
            yield f"{stock['ingredient']}: {stock}"


def _full(stations: list[dict[str, Any]]) -> Iterator[str]:
    for station in stations:
        if len(station["tickets"]) > station["capacity"]:
            yield f"{station['station_id']} holds {len(station['tickets'])} of {station['capacity']}"


def _amount(money: Any) -> Decimal:
    return Decimal(money["amount"])
