"""The meters in the shape that Prometheus scrapes (extra `metrics`)."""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rediscore.metrics import BUCKETS, Meter, Metrics, Timing


class MetersCollector(Collector):
    """Reads the meters at each scrape; asks no server."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Nothing yet: meters come when their components do."""
        return []

    def collect(self) -> Iterator[Metric]:
        by_component: defaultdict[str, list[Meter]] = defaultdict(list)
        for meter in self._metrics.meters():
            by_component[meter.component].append(meter)
        for component, meters in by_component.items():
            yield _events(component, meters)
            yield _seconds(component, meters)
            yield from _gauges(component, meters)


def _events(component: str, meters: list[Meter]) -> Metric:
    name, help_ = f"rediscore_{component}_events", f"What happened to each {component}"
    family = CounterMetricFamily(name, help_, labels=("name", "event"))
    for meter in meters:
        for event, number in list(meter.counts.items()):
            family.add_metric((meter.name, event), number)
    return family


def _seconds(component: str, meters: list[Meter]) -> Metric:
    family = HistogramMetricFamily(
        f"rediscore_{component}_seconds", "How long it took", labels=("name", "operation")
    )
    for meter in meters:
        for operation, timing in list(meter.timings.items()):
            family.add_metric((meter.name, operation), _buckets(timing), timing.total)
    return family


def _gauges(component: str, meters: list[Meter]) -> Iterator[Metric]:
    families: dict[str, GaugeMetricFamily] = {}
    for meter in meters:
        for gauge, read in list(meter.gauges.items()):
            if gauge not in families:
                name = f"rediscore_{component}_{gauge}"
                families[gauge] = GaugeMetricFamily(name, "At this moment", labels=("name",))
            families[gauge].add_metric((meter.name,), read())
    yield from families.values()


def _buckets(timing: Timing) -> list[tuple[str, float]]:
    ends, below = [*map(str, BUCKETS), "+Inf"], 0
    counted: list[tuple[str, float]] = []
    for end, number in zip(ends, timing.buckets, strict=True):
        below += number
        counted.append((end, float(below)))
    return counted
