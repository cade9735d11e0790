"""Counters of one subscriber, and the backlog of its group, for Prometheus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rediscore.streams.backlog import Backlog
from rediscore.streams.groups import GroupState
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

    def backlog(self, backlog: Backlog) -> None:
        """How far the group is behind."""


class NoMetrics:
    """For those who do not ask."""

    def ended(self, outcome: Outcome) -> None:
        pass

    def retried(self) -> None:
        pass

    def dead(self, reason: Reason) -> None:
        pass

    def backlog(self, backlog: Backlog) -> None:
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
        self.dead_now = Gauge(
            "rediscore_stream_dead_letter_entries", "Dead letters that lie there", where, registry=registry
        )
        self.sent_again = Gauge(
            "rediscore_stream_redrive_entries",
            "Dead letters that were sent again and have not ended",
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
        self._dead_now = metrics.dead_now.labels(stream, group)
        self._sent_again = metrics.sent_again.labels(stream, group)

    def ended(self, outcome: Outcome) -> None:
        self._ended[outcome].inc()

    def retried(self) -> None:
        self._retried.inc()

    def dead(self, reason: Reason) -> None:
        self._dead[reason].inc()

    def backlog(self, backlog: Backlog) -> None:
        self._lag.set(float("nan") if backlog.lag is None else backlog.lag)
        self._pending.set(backlog.pending)
        self._oldest.set(backlog.oldest_pending)
        self._dead_now.set(backlog.dead)
        self._sent_again.set(backlog.sent_again)


class GroupMetrics:
    """The groups of a stream as its owner sees them, also those that nobody reads any more.

    Labels are bounded: beyond `most` groups of a stream, the least behind are left out.
    """

    def __init__(self, registry: "CollectorRegistry", *, most: int = 20) -> None:
        from prometheus_client import Gauge

        where = ("stream", "group")
        self._behind = Gauge(
            "rediscore_stream_group_behind_entries",
            "Entries that a group keeps from being trimmed: not read, or not acknowledged",
            where,
            registry=registry,
        )
        self._idle = Gauge(
            "rediscore_stream_group_idle_seconds",
            "Since a reader of the group was last there; infinite when none ever was",
            where,
            registry=registry,
        )
        self._most = most
        self._shown: dict[str, set[str]] = {}

    def show(self, stream: str, groups: Sequence[GroupState]) -> None:
        """Show these and forget groups that are gone."""
        worst = sorted(groups, key=_behind, reverse=True)[: self._most]
        for group in worst:
            self._behind.labels(stream, group.name).set(_behind(group))
            self._idle.labels(stream, group.name).set(float("inf") if group.idle is None else group.idle)
        names = {group.name for group in worst}
        for gone in self._shown.get(stream, set()) - names:
            self._behind.remove(stream, gone)
            self._idle.remove(stream, gone)
        self._shown[stream] = names


def _behind(group: GroupState) -> float:
    return float("inf") if group.lag is None else float(group.lag + group.pending)
