"""The parts that every service has, wired: a service's composition root starts from here."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Final
from uuid import uuid4

import structlog
from fastapi import APIRouter, FastAPI
from pizzeria_contracts.events import payload_model
from pizzeria_contracts.streams import STREAM_TYPES
from prometheus_client import CollectorRegistry
from rediscore.breaker import CircuitBreaker, TimeWindow
from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics
from rediscore.pubsub import LiveChannels
from rediscore.retry import TRANSIENT, Backoff
from rediscore.sampler import RedisSampler
from rediscore.streams import ReliableStreams
from rediscore.tasks import Tasks

from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import ChassisError, DatabaseUnavailable
from pizzeria_chassis.faults import Faults
from pizzeria_chassis.feed import FeedClient, feed_router
from pizzeria_chassis.forgetting import forget_decisions
from pizzeria_chassis.health import Check, Component
from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.loops import PeriodicTask
from pizzeria_chassis.metrics import DatabaseMetrics, EventMetrics
from pizzeria_chassis.migrations import migrate
from pizzeria_chassis.operators import Operators
from pizzeria_chassis.ops import Watch, ops_router
from pizzeria_chassis.ops_faults import faults_router
from pizzeria_chassis.ops_letters import letters_router
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.pages import OPERATIONS, Page, pages_router
from pizzeria_chassis.positions_router import positions_router
from pizzeria_chassis.settings import ServiceSettings
from pizzeria_chassis.tasks import TaskWorker, ops_tasks_router

__all__ = ["Chassis"]

_log = structlog.get_logger(__name__)

DATABASE_PATIENCE: Final = 30.0
FORGET_SECONDS: Final = 3600.0
DECISIONS_KEPT: Final = timedelta(days=90)
"""Of operators: letters that were decided upon, and the log."""


class Chassis:
    """Database, Redis, streams, relay, authentication and metrics of one service. Making it does no I/O.

    Args:
        package: import name of the service; its ``migrations`` are run at start.
        publishes: the stream that this service's events travel on, None when it has none.
        required: names of the checks without which the service is not ready: ``database``, ``redis``, ….
        retriable_constraints: see ``Database``.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        package: str,
        description: str,
        publishes: str | None = None,
        required: Collection[str] = ("database",),
        retriable_constraints: Collection[str] = (),
        clock: Clock | None = None,
    ) -> None:
        name = settings.service_name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.registry = CollectorRegistry()
        self.event_metrics = EventMetrics(self.registry)
        self.metrics = Metrics()
        self.metrics.expose(self.registry)
        self.redis_breaker = CircuitBreaker(
            "redis",
            window=TimeWindow(timedelta(seconds=10)),
            failures=5,
            # Short: when Redis is back, the service is to be whole again at once.
            open_for=Backoff(0.5, 2.0),
            probes=1,
            record=(*TRANSIENT, TimeoutError),
            metrics=self.metrics,
            clock=self.clock,
        )
        """For calls that somebody waits for: while Redis is away it answers in its place."""
        self.connections = RedisConnections(settings.redis)
        self.keys = KeySpace(name)
        self.live = LiveChannels(self.connections)
        self.database = Database(
            settings.database_url.get_secret_value(),
            source=f"/pizzeria/{name}",
            retriable_constraints=retriable_constraints,
            clock=self.clock,
        )
        DatabaseMetrics(self.database, self.registry)
        self.streams = ReliableStreams(
            self.connections,
            group=name,
            keys=self.keys,
            lease_ttl=settings.stream_lease_seconds,
            registry=self.registry,
        )
        self.authenticator = Authenticator(settings.tokens)
        self._publishes = publishes
        self._package = package
        self._description = description
        self._required = frozenset(required)
        self._consumers: list[EventConsumer] = []
        self._components: list[Component] = []
        self._task_routers: list[APIRouter] = []
        self._pages: list[Page] = []
        self._breakers = {self.redis_breaker.name: self.redis_breaker}
        self._relay: Relay | None = None
        if publishes is not None:
            self.streams.publishes(publishes, {t: payload_model(t) for t in sorted(STREAM_TYPES[publishes])})
            self._relay = Relay(
                self.database,
                self.connections,
                streams=[publishes],
                partitions=settings.stream_partitions,
                metrics=self.event_metrics,
            )

    def consumer(self, stream: str, *, upstream: str) -> EventConsumer:
        """Declare that this service consumes ``stream``, whose owner answers at the address ``upstream``."""
        token = self.settings.tokens.get("service")
        consumer = EventConsumer(
            database=self.database,
            streams=self.streams,
            stream=stream,
            feed=FeedClient(upstream, token),
            partitions=self.settings.stream_partitions,
            metrics=self.event_metrics,
            copies=LetterCopies(self.connections),
            keep=timedelta(hours=self.settings.inbox_retention_hours),
        )
        self._consumers.append(consumer)
        return consumer

    def add(self, component: Component) -> None:
        """Run ``component`` with the service: started after the relay, before any event is consumed."""
        self._components.append(component)

    def tasks(
        self,
        *,
        concurrency: int = 20,
        lease: timedelta = timedelta(seconds=10),
        max_recoveries: int = 5,
        capacity: int | None = None,
    ) -> Tasks:
        """Background tasks of this service, to be declared with ``@tasks.task()``; once per service.

        Their worker is a component like those of ``add``, with ``concurrency`` tasks at once, and stops
        within the grace time. Operators find them under ``/ops/tasks``. Without Redis the service is
        degraded: what it must not forget is in the database, and is added again from there.
        """
        tasks = Tasks(
            self.connections,
            "tasks",
            keys=self.keys,
            lease=lease,
            max_recoveries=max_recoveries,
            capacity=capacity,
            metrics=self.metrics,
            clock=self.clock,
        )
        worker = TaskWorker(
            tasks,
            concurrency=concurrency,
            grace=self.settings.grace_seconds,
            sampler=RedisSampler(self.connections, self.metrics, queues=[tasks.queue]),
            name=f"{self.settings.service_name}-{uuid4().hex[:6]}",
        )
        self.add(worker)
        self._task_routers.append(ops_tasks_router(tasks))
        return tasks

    def breaks(self, breaker: CircuitBreaker) -> None:
        """Let the demo's fault switches open ``breaker``, as if what it guards were away."""
        self._breakers[breaker.name] = breaker

    def page(self, page: Page) -> None:
        """Show ``page`` in a browser; ``/`` leads to the first one. ``OPERATIONS`` is always the last."""
        self._pages.append(page)

    def app(self, *routers: APIRouter) -> FastAPI:
        """Return the service's app with these routers and everything that all services have."""
        components: list[Component] = [_DatabaseComponent(self.database, self._package)]
        components.append(_Closer(self.connections.aclose))
        components.append(_Closer(self.live.aclose))
        if self._relay is not None:
            components.append(self._relay)
        components += self._components
        if self._consumers:
            components.append(_StreamsComponent(self.streams, self.settings.grace_seconds))
            components += self._consumers
        components.append(PeriodicTask("forgetting", FORGET_SECONDS, self._forget_decisions))
        routers = (*routers, *self._ops())
        faults: Faults | None = None
        if self.settings.environment == "demo":
            faults = self._faults()
            components.append(faults)
            routers = (*routers, faults_router(faults, self._operators()))
        routers = (*routers, pages_router([*self._pages, OPERATIONS]))
        return create_app(
            Service(
                name=self.settings.service_name,
                description=self._description,
                authenticator=self.authenticator,
                routers=[
                    *routers,
                    *self._task_routers,
                    positions_router(self.database),
                    feed_router(self.database),
                ],
                components=components,
                probes={"database": self.database.ping, "redis": self.connections.ping},
                required=self._required,
                asyncapi=self.asyncapi,
                registry=self.registry,
                faults=faults,
            )
        )

    def _ops(self) -> tuple[APIRouter, ...]:
        watch = Watch(
            service=self.settings.service_name,
            database=self.database,
            connections=self.connections,
            streams=self.streams,
            consumers=self._consumers,
            publishes=self._publishes,
            metrics=self.metrics,
        )
        return ops_router(watch), letters_router(self._operators())

    def _operators(self) -> Operators:
        def redrive_soon() -> None:
            for consumer in self._consumers:
                consumer.redrive_soon()

        return Operators(self.database, copies=LetterCopies(self.connections), wanted=redrive_soon)

    def _faults(self) -> Faults:
        faults = Faults(
            self.clock, streams=[consumer.stream for consumer in self._consumers], breakers=self._breakers
        )
        for consumer in self._consumers:
            consumer.paused = faults.paused
        return faults

    async def _forget_decisions(self) -> None:
        await forget_decisions(self.database, before=self.clock.now() - DECISIONS_KEPT)

    def asyncapi(self) -> dict[str, object]:
        """Return the AsyncAPI document of what this service publishes and consumes."""
        return self.streams.asyncapi(self.settings.service_name, "0.1.0")


class _DatabaseComponent:
    """Migrates at start, waiting up to 30 s for a database that is still coming up."""

    def __init__(self, database: Database, package: str) -> None:
        self._database = database
        self._package = package

    async def start(self) -> None:
        deadline = self._database.clock.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                await migrate(self._database, self._package)
                return
            except DatabaseUnavailable:
                if self._database.clock.monotonic() > deadline:
                    raise ChassisError(
                        "The database did not answer for 30 s; start it, or correct DATABASE_URL."
                    ) from None
                _log.info("waiting_for_database")
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        await self._database.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}


class _StreamsComponent:
    """The readers of all consumed streams."""

    def __init__(self, streams: ReliableStreams, grace: float) -> None:
        self._streams = streams
        self._grace = grace

    async def start(self) -> None:
        await self._streams.start()

    async def stop(self) -> None:
        await self._streams.stop(self._grace)

    def checks(self) -> Mapping[str, Check]:
        return {
            f"stream:{name}": Check("ok", "" if result.status == "reading" else result.status)
            if result.healthy
            else Check("down", result.reason)
            for name, result in self._streams.checks().items()
        }


class _Closer:
    """Closes something at the end."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        await self._close()

    def checks(self) -> Mapping[str, Check]:
        return {}
