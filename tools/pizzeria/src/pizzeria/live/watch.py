"""Reads what the live view shows: the feeds of order and kitchen, the kitchen's queue and stations."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pizzeria.live.board import Board, Move
from pizzeria.state import State

_FEED_SECONDS = 0.25
_LOOK_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0
_PAGE = 500
_NO_ANSWER = (httpx.HTTPError, ValueError, KeyError)
"""Not there, refusing, or something else that listens on the port."""


@dataclass(slots=True)
class Picture:
    """What was seen last. `health` is ready, degraded or down by service."""

    board: Board = field(default_factory=Board)
    stations: list[dict[str, Any]] = field(default_factory=list)
    queued: str | None = None
    health: dict[str, str] = field(default_factory=dict)


class Watcher:
    """Keeps a picture up to date; a service that does not answer is asked again.

    Args:
        on_move: told of every order that reaches a new state.
        on_health: told when a service becomes ready, degraded or down, with the reasons.
    """

    def __init__(
        self,
        state: State,
        *,
        on_move: Callable[[Move], None] = lambda _: None,
        on_health: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:
        self.picture = Picture()
        self._state = state
        self._on_move = on_move
        self._on_health = on_health

    async def run(self) -> None:
        """Never returns."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client, asyncio.TaskGroup() as group:
            for service in ("order", "kitchen"):
                group.create_task(self._follow(client, service))
            for service in self._state.services:
                group.create_task(self._repeat(self._look_at_health, client, service))
            group.create_task(self._repeat(self._look_at_kitchen, client, "kitchen"))

    async def _follow(self, client: httpx.AsyncClient, service: str) -> None:
        after: int | None = None
        while True:
            try:
                if after is None:
                    after = (await self._get(client, service, "/events/head"))["position"] or 0
                page = (await self._get(client, service, f"/events?after={after}&limit={_PAGE}"))["items"]
            except _NO_ANSWER:
                page = []
            for event in page:
                if (move := self.picture.board.fold(event)) is not None:
                    self._on_move(move)
                after = event["position"]
            if len(page) < _PAGE:
                await asyncio.sleep(_FEED_SECONDS)

    async def _look_at_kitchen(self, client: httpx.AsyncClient, service: str) -> None:
        try:
            self.picture.stations = (await self._get(client, service, "/stations"))["items"]
            queue = await self._get(client, service, "/queue?limit=100")
            self.picture.queued = f"{len(queue['items'])}{'+' if queue['next'] else ''}"
        except _NO_ANSWER:
            self.picture.queued = None

    async def _look_at_health(self, client: httpx.AsyncClient, service: str) -> None:
        reasons = ""
        try:
            report = (await client.get(f"{self._state.services[service].url}/health/ready")).json()
            health = report["status"]
            reasons = describe_checks(report["checks"])
        except _NO_ANSWER:
            health = "down"
        before = self.picture.health.get(service, "ready")
        self.picture.health[service] = health
        if health != before:
            self._on_health(service, health, reasons)

    async def _get(self, client: httpx.AsyncClient, service: str, path: str) -> Any:
        role = "service" if path.startswith("/events") else "manager"
        reply = await client.get(
            f"{self._state.services[service].url}{path}",
            headers={"Authorization": f"Bearer {self._state.tokens[role]}"},
        )
        return reply.raise_for_status().json()

    async def _repeat(
        self,
        look: Callable[[httpx.AsyncClient, str], Any],
        client: httpx.AsyncClient,
        service: str,
    ) -> None:
        while True:
            await look(client, service)
            await asyncio.sleep(_LOOK_SECONDS)


def describe_checks(checks: Mapping[str, Mapping[str, Any]]) -> str:
    """`redis: no connection; …`: the checks that are not fine."""
    return "; ".join(
        f"{name}: {check.get('reason') or check['status']}"
        for name, check in checks.items()
        if check["status"] != "ok"
    )
