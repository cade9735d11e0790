"""Metrics of a service, for Prometheus."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector
from rediscore.streams import GroupMetrics

from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.database import Database

__all__ = ["DatabaseMetrics", "EventMetrics", "HttpMetrics", "metrics_router"]

_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class HttpMetrics:
    """Requests and their duration by method, route template and status; the count is the histogram's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time from request to the end of the answer.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        self._duration.labels(method, route, str(status)).observe(seconds)


class DatabaseMetrics(Collector):
    """Transactions by kind, as the database counts them."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self._database = database
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily("database_transactions", "Transactions begun.", labels=["kind"])
        for kind, count in self._database.transactions.items():
            family.add_metric([kind], count)
        return [family]


class EventMetrics:
    """The outbox and the inboxes of a service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unsent = Gauge("outbox_unsent", "Committed events not yet on their stream.", registry=registry)
        self.leading = Gauge("outbox_relay_leading", "1 where the relay is at work.", registry=registry)
        self.sent = Counter("outbox_sent", "Events added to streams.", registry=registry)
        self.refilled = Counter(
            "outbox_refilled", "Events added again because Redis had lost them.", registry=registry
        )
        self.groups = GroupMetrics(registry)
        self.lag = Gauge(
            "inbox_lag_events", "Events of the feed that are not yet applied.", ("stream",), registry=registry
        )
        self.caught_up = Counter(
            "inbox_caught_up",
            "Events taken from the feed instead of the stream.",
            ("stream",),
            registry=registry,
        )
        self.handled = Counter(
            "inbox_events", "Events by what became of them.", ("stream", "outcome"), registry=registry
        )


def metrics_router(registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/metrics", response_class=Response)
    async def metrics(_: Annotated[Principal, Depends(require("service", "manager"))]) -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
