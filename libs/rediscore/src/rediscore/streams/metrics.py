"""Counters of one subscriber, and the backlog of its group, for Prometheus."""

from typing import TYPE_CHECKING, Protocol

from rediscore.streams.policy import Outcome, Reason

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class StreamMetrics(Protocol):
    """What is counted. Labels are streams, groups, outcomes and reasons: all bounded."""

    def ended(self, outcome: Outcome) -> None:
        """An event has ended."""

    def retried(self) -> None:
        """A handler failed once."""

    def dead(self, reason: Reason) -> None:
        """A dead letter was written."""

    def backlog(self, *, lag: int | None, pending: int, oldest_pending: float) -> None:
        """How far the group is behind (`rediscore.streams.backlog`)."""


class NoMetrics:
    """For those who do not ask."""

    def ended(self, outcome: Outcome) -> None:
        pass

    def retried(self) -> None:
        pass

    def dead(self, reason: Reason) -> None:
        pass

    def backlog(self, *, lag: int | None, pending: int, oldest_pending: float) -> None:
        pass


class PrometheusMetrics:
    """The metrics of one process; `of` gives each subscriber its own view."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        # Imported here: the extra `metrics` is optional.
        from prometheus_client import Counter, Gauge

        where = ("stream", "group")
        self.events = Counter(
            "rediscore_stream_events", "Events that ended, by outcome", (*where, "outcome"), registry=registry
        )
        self.failures = Counter(
            "rediscore_stream_handler_failures", "Attempts that failed", where, registry=registry
        )
        self.dead_letters = Counter(
            "rediscore_stream_dead_letters", "Dead letters, by reason", (*where, "reason"), registry=registry
        )
        self.lag = Gauge("rediscore_stream_lag_entries", "Entries not read yet", where, registry=registry)
        self.pending = Gauge(
            "rediscore_stream_pending_entries", "Entries read, not acknowledged", where, registry=registry
        )
        self.oldest = Gauge(
            "rediscore_stream_oldest_pending_seconds",
            "Age of the oldest pending entry",
            where,
            registry=registry,
        )

    def of(self, stream: str, group: str) -> StreamMetrics:
        """The view of one subscriber."""
        return _Labelled(self, stream, group)


class _Labelled:
    def __init__(self, metrics: PrometheusMetrics, stream: str, group: str) -> None:
        self._ended = {o: metrics.events.labels(stream, group, o.value) for o in Outcome}
        self._dead = {r: metrics.dead_letters.labels(stream, group, r.value) for r in Reason}
        self._retried = metrics.failures.labels(stream, group)
        self._lag = metrics.lag.labels(stream, group)
        self._pending = metrics.pending.labels(stream, group)
        self._oldest = metrics.oldest.labels(stream, group)

    def ended(self, outcome: Outcome) -> None:
        self._ended[outcome].inc()

    def retried(self) -> None:
        self._retried.inc()

    def dead(self, reason: Reason) -> None:
        self._dead[reason].inc()

    def backlog(self, *, lag: int | None, pending: int, oldest_pending: float) -> None:
        self._lag.set(float("nan") if lag is None else lag)
        self._pending.set(pending)
        self._oldest.set(oldest_pending)
