"""What the kitchen answers to us: its pace, and what happened to the tickets of an order."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import httpx
from pizzeria_chassis.health import Check
from pizzeria_chassis.telemetry import trace_headers
from pizzeria_chassis.tls import trusted
from pydantic import BaseModel, SecretStr, ValidationError

from order_service.domain.errors import KitchenAway
from order_service.domain.load import Pace
from order_service.domain.records import JourneyEntry

TIMEOUT = 1.0
MOST_PAGES = 10

ModelT = TypeVar("ModelT", bound=BaseModel)


class PaceTold(BaseModel):
    places: int
    cooking_seconds: float


class TicketLine(BaseModel):
    """One line of `GET /orders/{id}/history` at the kitchen."""

    ticket_id: str
    time: datetime
    what: str
    station_id: str | None
    lease_until: datetime | None
    attempt: int
    failure: str | None
    trace_id: str | None

    def entry(self) -> JourneyEntry:
        detail = self.model_dump(mode="json", exclude={"time", "what", "trace_id"}, exclude_none=True)
        return JourneyEntry(
            self.time, f"kitchen.ticket.{self.what}", "/pizzeria/kitchen", self.trace_id, detail
        )


class HistoryPage(BaseModel):
    items: list[TicketLine]
    next: str | None


class KitchenClient:
    """Reads; each within a second, none is repeated. A component, because it owns the connection.

    All raise KitchenAway when there is no answer that can be read.
    """

    def __init__(self, url: str, token: SecretStr | None) -> None:
        self._url = url
        self._token = token.get_secret_value() if token is not None else ""
        self._http: httpx.AsyncClient | None = None

    async def pace(self) -> Pace:
        told = await self._get(PaceTold, "/pace")
        return Pace(told.places, timedelta(seconds=told.cooking_seconds))

    async def history(self, order_id: str) -> Sequence[JourneyEntry]:
        """See `use_cases.ports.Tickets`; at most 5000 lines, one call per 500."""
        lines: list[TicketLine] = []
        after = "0"
        for _ in range(MOST_PAGES):
            page = await self._get(HistoryPage, f"/orders/{order_id}/history", after=after, limit="500")
            lines += page.items
            if page.next is None:
                break
            after = page.next
        return [line.entry() for line in lines]

    async def start(self) -> None:
        self._http = httpx.AsyncClient(
            base_url=self._url,
            timeout=TIMEOUT,
            verify=trusted(),
            headers={"Authorization": f"Bearer {self._token}"},
        )

    async def stop(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def _get(self, model: type[ModelT], path: str, **params: str) -> ModelT:
        if self._http is None:
            raise RuntimeError("The kitchen client is used before its start.")
        try:
            answer = await self._http.get(path, params=params, headers=trace_headers())
            answer.raise_for_status()
            return model.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise KitchenAway from error
