"""The durable feed: everything that a service ever told, over HTTP, for whoever missed it on the stream."""

from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Final, Self, TypeVar

import httpx
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, SecretStr, ValidationError
from rediscore.streams.event import RawEvent

from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import FeedUnavailable
from pizzeria_chassis.history import head, history, stamped
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.telemetry import trace_headers
from pizzeria_chassis.tls import trusted

__all__ = ["FeedClient", "feed_router"]

MAX_PAGE: Final = 500
TIMEOUT: Final = httpx.Timeout(5.0, connect=1.0)

ModelT = TypeVar("ModelT", bound=BaseModel)
Reader = Annotated[Principal, Depends(require("service", "manager"))]


class FeedPage(BaseModel):
    """``next`` is what to pass as ``after`` for the next page, null at the end."""

    items: list[RawEvent]
    next: int | None


class FeedHead(BaseModel):
    """``position`` of the newest event, 0 when there is none."""

    position: int


def feed_router(database: Database) -> APIRouter:
    router = APIRouter(
        prefix="/events", tags=["events"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )

    @router.get("", response_model=FeedPage, response_model_exclude_none=False)
    async def events(
        _: Reader,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> FeedPage:
        """Events after a position, oldest first, without gaps."""
        async with database.read() as connection:
            rows = await history(connection, after=after, limit=limit)
        items = [event for _, event in map(stamped, rows)]
        return FeedPage(items=items, next=items[-1].position if len(items) == limit else None)

    @router.get("/head", response_model=FeedHead)
    async def feed_head(_: Reader) -> FeedHead:
        """Where the feed ends."""
        async with database.read() as connection:
            return FeedHead(position=await head(connection))

    return router


class FeedClient:
    """Reads another service's feed. Every call is a read with a timeout of 5 s and is not retried."""

    def __init__(
        self, url: str, token: SecretStr | None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url
        self._token = token
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def head(self) -> int:
        """Return the newest position. Raises FeedUnavailable."""
        return (await self._get(FeedHead, "/events/head")).position

    async def page(self, after: int, limit: int = MAX_PAGE) -> Sequence[RawEvent]:
        """Return up to ``limit`` events after a position, oldest first. Raises FeedUnavailable."""
        return (await self._get(FeedPage, "/events", after=after, limit=limit)).items

    async def _get(self, model: type[ModelT], path: str, **params: int) -> ModelT:
        try:
            answer = await self._http().get(path, params=params, headers=dict(trace_headers()))
            answer.raise_for_status()
            return model.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            # The address is ours and holds no secret; the answer's text may say anything, so it stays out.
            raise FeedUnavailable(f"{self.url}{path} did not answer: {type(error).__name__}") from error

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            token = self._token.get_secret_value() if self._token is not None else ""
            self._client = httpx.AsyncClient(
                base_url=self.url,
                timeout=TIMEOUT,
                verify=trusted(),
                transport=self._transport,
                headers={"Authorization": f"Bearer {token}"},
            )
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
