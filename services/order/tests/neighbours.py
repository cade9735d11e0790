"""Stand-ins for the neighbours: they speak real HTTP and publish real stream entries."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, HTTPException
from pizzeria_chassis.ids import new_id
from pizzeria_contracts.events import Payload, TicketAccepted, TicketCompleted, type_of
from pizzeria_contracts.menu import Menu
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.streams import CloudEvent, StreamPublisher

MENU = {
    "items": [
        {
            "id": "margherita",
            "name": "Margherita",
            "available": True,
            "prices": {
                "small": {"amount": "10.39", "currency": "EUR"},
                "medium": {"amount": "12.99", "currency": "EUR"},
                "large": {"amount": "16.89", "currency": "EUR"},
            },
            "toppings": ["olives", "basil"],
            "version": 1,
        },
        {
            "id": "calzone",
            "name": "Calzone",
            "available": False,
            "prices": {"medium": {"amount": "11.00", "currency": "EUR"}},
            "toppings": [],
            "version": 1,
        },
    ],
    "next": None,
    "toppings": [
        {"id": name, "price": {"amount": "1.50", "currency": "EUR"}} for name in ("olives", "basil")
    ],
}


class MenuStandIn:
    """Answers GET /menu, or fails when told to."""

    def __init__(self) -> None:
        self.menu: dict[str, Any] = Menu.model_validate(MENU).model_dump(mode="json")
        self.away = False
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.app = FastAPI()
        self.app.get("/menu")(self._answer)

    async def _answer(self) -> dict[str, Any]:
        self.asked += 1
        await self.open.wait()
        if self.away:
            raise HTTPException(503)
        return self.menu


class KitchenStandIn:
    """Publishes kitchen events on the stream and serves the same as a feed, like the real one."""

    def __init__(self, connections: RedisConnections) -> None:
        self.connections = connections
        self._publisher = StreamPublisher(connections)
        self._sequences: dict[str, int] = {}
        self.told: list[CloudEvent[Any]] = []
        self.app = FastAPI()
        self.app.get("/events/head")(self._head)
        self.app.get("/events")(self._feed)
        # Eight places, each a pizza in so many seconds; None: it does not tell.
        self.cooking_seconds: float | None = 1.0
        self.history: list[dict[str, Any]] = []
        self.history_away = False
        self.app.get("/pace")(self._pace)
        self.app.get("/orders/{order_id}/history")(self._history)

    async def tell(self, order_id: str, *payloads: Payload, on_stream: bool = True) -> list[CloudEvent[Any]]:
        """Events about one order, in the feed, and on the stream unless Redis is to have lost them."""
        events = [self._event(order_id, payload) for payload in payloads]
        if on_stream:
            await self._publisher.publish(KITCHEN, events)
        return events

    async def accept(self, order_id: str) -> None:
        await self.tell(order_id, TicketAccepted(tickets=("t-1",), estimated_ready_at="2026-11-21T20:00:00Z"))

    async def tell_nonsense(self, order_id: str) -> None:
        """An event that breaks its contract: nobody can handle it."""
        event = self._event(order_id, TicketCompleted(ticket_id="t-1", station_id="s", seconds=1))
        self.told[-1] = broken = event.model_copy(update={"data": {"seconds": "many"}})
        await self._publisher.publish(KITCHEN, [broken])

    async def repeat(self, events: Sequence[CloudEvent[Any]]) -> None:
        """The very same events once more, as after a relay's crash."""
        await self._publisher.publish(KITCHEN, events)

    def _event(self, order_id: str, payload: Payload) -> CloudEvent[Any]:
        sequence = self._sequences[order_id] = self._sequences.get(order_id, 0) + 1
        event: CloudEvent[Any] = CloudEvent(
            id=new_id(),
            source="/pizzeria/kitchen",
            type=type_of(payload),
            subject=order_id,
            time="2026-11-21T19:00:00Z",
            sequence=sequence,
            position=len(self.told) + 1,
            data=payload.model_dump(mode="json"),
        )
        self.told.append(event)
        return event

    async def _head(self) -> dict[str, int]:
        return {"position": len(self.told)}

    async def _feed(self, after: int = 0, limit: int = 100) -> dict[str, Any]:
        items = [event.model_dump(mode="json") for event in self.told[after : after + limit]]
        return {"items": items, "next": None}

    async def _pace(self) -> dict[str, Any]:
        if self.cooking_seconds is None:
            raise HTTPException(503)
        return {"places": 8, "cooking_seconds": self.cooking_seconds}

    async def _history(self, order_id: str) -> dict[str, Any]:
        if self.history_away:
            raise HTTPException(503)
        return {"items": self.history, "next": None}


def ticket_line(
    what: str, station: str, *, seconds: float, attempt: int = 1, failure: str | None = None
) -> dict[str, Any]:
    """A line of the kitchen's history of tickets, so many seconds from now."""
    time = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "id": 1,
        "ticket_id": "t-1",
        "time": time.isoformat(),
        "what": what,
        "station_id": station,
        "fencing_token": 7,
        "lease_until": time.isoformat(),
        "attempt": attempt,
        "failure": failure,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
