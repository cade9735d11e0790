"""What the patterns count about themselves: plain numbers, read by a summary call and by Prometheus.

Components count in memory, so a scrape asks nobody and a hot path pays an addition. Labels are names
of components and events, never keys, users or members: their number is bounded.
"""

import math
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rediscore.errors import RediscoreError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the latency buckets, seconds."""

_MOST_METERS: Final = 1000


class TooManyMetersError(RediscoreError):
    """Somebody makes a meter per key or per user; a meter is for a component that lives with the process."""


class Timing:
    """A histogram of seconds with fixed buckets."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def quantile(self, share: float) -> float:
        """Upper end of the bucket in which that share of the observations ends; infinite beyond the last,
        NaN before the first observation."""
        rank, seen = share * self.count, 0
        if not rank:
            return math.nan
        for end, number in zip((*BUCKETS, float("inf")), self.buckets, strict=True):
            seen += number
            if seen >= rank:
                return end
        return float("inf")


class Meter:
    """The numbers of one component, e.g. `("cache", "menu")`. On a hot path: `meter.counts["hit"] += 1`.

    Names of events, operations and gauges are literals in the code, lower case with underscores.
    """

    __slots__ = ("component", "counts", "gauges", "name", "timings")

    def __init__(self, component: str, name: str) -> None:
        self.component = component
        self.name = name
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.timings: defaultdict[str, Timing] = defaultdict(Timing)
        self.gauges: dict[str, Callable[[], float]] = {}

    def count(self, event: str, number: int = 1) -> None:
        """`number` more of this event."""
        self.counts[event] += number

    @contextmanager
    def time(self, operation: str) -> Iterator[None]:
        """Observe how long the body takes, however it ends."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.timings[operation].observe(time.perf_counter() - begun)

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """A value that is read when somebody looks; `read` does no I/O."""
        self.gauges[name] = read


class Metrics:
    """All meters of a process. Give the same object to every component.

    Without one, a component counts into a meter of its own that nobody reads.
    """

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str], Meter] = {}

    def meter(self, component: str, name: str) -> Meter:
        """The meter of this component; the same for the same pair.

        Raises: TooManyMetersError beyond 1000.
        """
        found = self._meters.get((component, name))
        if found is None:
            if len(self._meters) >= _MOST_METERS:
                raise TooManyMetersError(
                    f"There are {_MOST_METERS} meters; name components by what they are for, not by key."
                )
            found = self._meters[component, name] = Meter(component, name)
        return found

    def meters(self) -> tuple[Meter, ...]:
        """All of them."""
        return tuple(self._meters.values())

    def summary(self) -> dict[str, dict[str, Any]]:
        """`"cache/menu"` → counts, latencies (count, mean, p50, p99 in seconds), gauges, hit ratio.

        Plain values that JSON takes; None for what is unknown, and for a quantile beyond 10 s.
        """
        return {f"{meter.component}/{meter.name}": _summary(meter) for meter in self.meters()}

    def expose(self, registry: "CollectorRegistry") -> None:
        """Let Prometheus scrape them: `rediscore_<component>_events_total{name, event}`,
        `rediscore_<component>_seconds{name, operation}`, `rediscore_<component>_<gauge>{name}`."""
        # Imported here: the extra `metrics` is optional.
        from rediscore.prometheus import MetersCollector

        registry.register(MetersCollector(self))


def meter_of(metrics: Metrics | None, component: str, name: str) -> Meter:
    """For constructors: the meter in `metrics`, or one of its own."""
    return Meter(component, name) if metrics is None else metrics.meter(component, name)


def _summary(meter: Meter) -> dict[str, Any]:
    told: dict[str, Any] = dict(meter.counts)
    hits = meter.counts.get("hit", 0) + meter.counts.get("local_hit", 0)
    misses = meter.counts.get("miss", 0)
    if hits or misses:
        told["hit_ratio"] = hits / (hits + misses)
    for operation, timing in list(meter.timings.items()):
        count = timing.count
        told[f"{operation}_seconds"] = {
            "count": count,
            "mean": timing.total / count if count else None,
            "p50": _known(timing.quantile(0.5)),
            "p99": _known(timing.quantile(0.99)),
        }
    for name, read in list(meter.gauges.items()):
        told[name] = _known(read())
    return told


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
