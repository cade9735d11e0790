"""How a service is doing, for those who run it: lag, breakers, and what it is connected to."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pizzeria_contracts.streams import STREAM_TYPES
from pydantic import BaseModel
from redis.exceptions import RedisError
from rediscore.breaker import State
from rediscore.client import RedisConnections
from rediscore.metrics import Metrics
from rediscore.streams import ReliableStreams, stream_names
from rediscore.streams.backlog import Backlog, read_backlog

from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import FeedUnavailable
from pizzeria_chassis.health import Health
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.inbox import inbox_states
from pizzeria_chassis.openapi import problems

__all__ = ["Manager", "Watch", "ops_router"]

Manager = Annotated[Principal, Depends(require("manager"))]
BreakerState = Literal["closed", "half-open", "open"]


class OutboxLag(BaseModel):
    """``head``: events committed; ``sent``: all up to here are on their stream."""

    head: int
    sent: int


class StreamLag(BaseModel):
    """How far behind its owner a stream is consumed; null is what cannot be asked at the moment.

    ``position`` and ``head`` count events of the feed; ``unread`` and ``pending`` entries in Redis, which may
    hold some twice.
    """

    stream: str
    position: int
    head: int | None
    behind: int | None
    unread: int | None
    pending: int | None
    oldest_pending_seconds: float | None
    dead: int


class Lag(BaseModel):
    outbox: OutboxLag | None
    streams: list[StreamLag]


class BreakerView(BaseModel):
    """``counts`` since the process started; ``seconds``: for how long it has been in this state."""

    name: str
    state: BreakerState
    seconds: float
    counts: dict[str, int]


class BreakerList(BaseModel):
    items: list[BreakerView]
    next: None = None


class PublishedStream(BaseModel):
    stream: str
    types: list[str]


class ConsumedStream(BaseModel):
    """``readers``: what this instance does with each partition."""

    stream: str
    owner: str
    readers: dict[str, str]


class CalledService(BaseModel):
    """What this service calls over the network, behind a breaker."""

    name: str
    breaker: BreakerState


class ConnectionCheck(BaseModel):
    status: Literal["ok", "degraded", "down"]
    reason: str


class Topology(BaseModel):
    service: str
    publishes: list[PublishedStream]
    consumes: list[ConsumedStream]
    calls: list[CalledService]
    checks: dict[str, ConnectionCheck]


class Watch:
    """Looks at all parts of one service."""

    def __init__(
        self,
        *,
        service: str,
        database: Database,
        connections: RedisConnections,
        streams: ReliableStreams,
        consumers: Sequence[EventConsumer],
        publishes: str | None,
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._database = database
        self._connections = connections
        self._streams = streams
        self._consumers = consumers
        self._publishes = publishes
        self._metrics = metrics

    async def lag(self) -> Lag:
        """Ask the database, Redis and the owners of all streams; what does not answer is null."""
        async with self._database.read() as connection:
            outbox = await outbox_state(connection)
            inbox = await inbox_states(connection)
        lags = await asyncio.gather(
            *(self._lag_of(consumer, **inbox.get(consumer.stream, {})) for consumer in self._consumers)
        )
        told = None if self._publishes is None else OutboxLag.model_validate(outbox._asdict())
        return Lag(outbox=told, streams=lags)

    async def _lag_of(self, consumer: EventConsumer, position: int = 0, dead: int = 0) -> StreamLag:
        head, backlog = await asyncio.gather(self._head(consumer), self._backlog(consumer))
        return StreamLag(
            stream=consumer.stream,
            position=position,
            head=head,
            behind=None if head is None else max(0, head - position),
            unread=None if backlog is None else backlog.lag,
            pending=None if backlog is None else backlog.pending,
            oldest_pending_seconds=None if backlog is None else round(backlog.oldest_pending, 3),
            dead=dead,
        )

    async def _head(self, consumer: EventConsumer) -> int | None:
        try:
            return await consumer.feed.head()
        except FeedUnavailable:
            return None

    async def _backlog(self, consumer: EventConsumer) -> Backlog | None:
        names = stream_names(consumer.stream, consumer.partitions)
        try:
            return await read_backlog(self._connections, names, self._streams.group)
        except RedisError:
            return None

    def breakers(self) -> list[BreakerView]:
        """Return every breaker that counts into the service's metrics. No I/O."""
        return [
            BreakerView(
                name=meter.name,
                state=_state(meter.gauges["state"]()),
                seconds=round(meter.gauges["seconds_in_state"](), 3),
                counts=dict(meter.counts),
            )
            for meter in self._metrics.meters()
            if meter.component == "breaker"
        ]

    async def topology(self, health: Health) -> Topology:
        """Return what this service is connected to, with the state of each connection."""
        readers = self._streams.checks()
        checks = await health.checks()
        return Topology(
            service=self._service,
            publishes=[
                PublishedStream(stream=stream, types=sorted(STREAM_TYPES[stream]))
                for stream in filter(None, [self._publishes])
            ],
            consumes=[
                ConsumedStream(
                    stream=consumer.stream,
                    owner=consumer.feed.url,
                    readers={
                        name: readers[name].status
                        for name in stream_names(consumer.stream, consumer.partitions)
                    },
                )
                for consumer in self._consumers
            ],
            calls=[CalledService(name=breaker.name, breaker=breaker.state) for breaker in self.breakers()],
            checks={
                name: ConnectionCheck(status=check.status, reason=check.reason)
                for name, check in checks.items()
            },
        )


def _state(value: float) -> BreakerState:
    names: dict[State, BreakerState] = {
        State.CLOSED: "closed",
        State.HALF_OPEN: "half-open",
        State.OPEN: "open",
    }
    return names[State(value)]


def ops_router(watch: Watch) -> APIRouter:
    router = APIRouter(
        prefix="/ops", tags=["operations"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )

    @router.get("/lag")
    async def lag(_: Manager) -> Lag:
        """How far behind this service is with what it tells and hears. At rest nothing is behind."""
        return await watch.lag()

    @router.get("/breakers")
    async def breakers(_: Manager) -> BreakerList:
        """The circuit breakers of this process."""
        return BreakerList(items=watch.breakers())

    @router.get("/topology")
    async def topology(_: Manager, request: Request) -> Topology:
        """What this service publishes, consumes and calls, and the state of each."""
        return await watch.topology(request.app.state.health)

    return router
