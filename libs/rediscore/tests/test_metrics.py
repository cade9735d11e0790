"""What the patterns tell about themselves: a summary, an exposition, and never a label per key."""

import ast
import asyncio
import json
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import rediscore
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.metrics import BUCKETS, Metrics, TooManyMetersError, meter_of
from rediscore.queue import PriorityQueue
from rediscore.sampler import RedisSampler
from rediscore.settings import RedisSettings
from rediscore.testing import FaultProxy, ServerUnderTest, eventually

pytestmark = pytest.mark.proves("R20")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(metrics: Metrics) -> Samples:
    """What Prometheus would read, each series once."""
    registry = CollectorRegistry()
    metrics.expose(registry)
    found: Samples = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            assert series not in found
            found[series] = sample.value
    return found


def series(sample: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample, frozenset(labels.items())


def test_summary_tells_counts_latencies_gauges_and_the_hit_ratio() -> None:
    metrics = Metrics()
    meter = metrics.meter("cache", "menu")
    meter.counts["hit"] += 2
    meter.counts["local_hit"] += 1
    meter.count("miss")
    meter.gauge("entries", lambda: 7)
    for seconds in [0.002] * 98 + [0.3, 60.0]:
        meter.timings["load"].observe(seconds)

    told = metrics.summary()["cache/menu"]

    assert told["hit"] == 2
    assert told["miss"] == 1
    assert told["hit_ratio"] == 0.75
    assert told["entries"] == 7
    assert told["load_seconds"]["count"] == 100
    assert told["load_seconds"]["mean"] == pytest.approx((98 * 0.002 + 60.3) / 100)
    assert (told["load_seconds"]["p50"], told["load_seconds"]["p99"]) == (0.0025, 0.5)


def test_what_is_unknown_is_none_so_that_the_summary_is_json() -> None:
    metrics = Metrics()
    meter = metrics.meter("cache", "menu")
    meter.gauge("age", lambda: math.nan)
    meter.timings["slow"].observe(60.0)
    assert meter.timings["never"].count == 0

    told = json.loads(json.dumps(metrics.summary(), allow_nan=False))["cache/menu"]

    assert told["age"] is None
    assert told["slow_seconds"] == {"count": 1, "mean": 60.0, "p50": None, "p99": None}
    assert told["never_seconds"] == {"count": 0, "mean": None, "p50": None, "p99": None}
    assert "hit_ratio" not in told


def test_time_is_observed_however_the_body_ends() -> None:
    meter = Metrics().meter("cache", "menu")

    with pytest.raises(KeyError), meter.time("load"):
        raise KeyError

    assert meter.timings["load"].count == 1


def test_exposition_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    for name, hits in (("menu", 2), ('odd "name"\n\\', 5)):
        meter = metrics.meter("cache", name)
        meter.count("hit", hits)
        meter.gauge("entries", partial(float, hits * 10))
    timing = metrics.meter("cache", "menu").timings["load"]
    for seconds in (0.0005, 0.0006, 0.7, 100.0):
        timing.observe(seconds)
    metrics.meter("lock", "orders")  # nothing happened yet

    found = scraped(metrics)

    assert found[series("rediscore_cache_events_total", name="menu", event="hit")] == 2
    assert found[series("rediscore_cache_events_total", name='odd "name"\n\\', event="hit")] == 5
    assert found[series("rediscore_cache_entries", name="menu")] == 20
    load = {"name": "menu", "operation": "load"}
    assert found[series("rediscore_cache_seconds_count", **load)] == 4
    assert found[series("rediscore_cache_seconds_sum", **load)] == pytest.approx(100.7011)
    below = [found[series("rediscore_cache_seconds_bucket", le=str(end), **load)] for end in BUCKETS]
    assert below == [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]  # an end belongs to its bucket
    assert found[series("rediscore_cache_seconds_bucket", le="+Inf", **load)] == 4


def test_meters_are_one_per_component_and_bounded() -> None:
    metrics = Metrics()
    assert metrics.meter("cache", "menu") is metrics.meter("cache", "menu")
    assert metrics.meter("cache", "menu") is not metrics.meter("lock", "menu")
    assert meter_of(None, "cache", "menu") is not meter_of(None, "cache", "menu")

    for number in range(998):
        metrics.meter("cache", f"user-{number}")
    with pytest.raises(TooManyMetersError, match="not by key"):
        metrics.meter("cache", "one-more")

    assert len(metrics.meters()) == 1000
    assert metrics.meter("cache", "menu").name == "menu"


BOUNDED = {
    "outcome",  # of tasks: one of the five of `tasks.presence.Outcome`
    "verb",  # of records: the name of one of our methods
    "f'to_{after.name.lower()}'",  # of breakers: one of three states
}


def test_events_and_operations_are_literals_that_the_page_lists() -> None:
    """A name that is put together may hold a key: a label per key is a leak that no bound on meters sees."""
    page = (Path(__file__).parents[1] / "docs/metrics.md").read_text(encoding="utf-8")
    found = [
        f"{file.name}:{node.lineno}: {ast.unparse(node)}"
        for file in Path(rediscore.__file__).parent.rglob("*.py")
        if file.name not in ("metrics.py", "prometheus.py")
        for node, name in names_given_to_meters(ast.parse(file.read_text(encoding="utf-8")))
        if ast.unparse(name) not in BOUNDED
        and not all(re.search(rf"`{literal}(_seconds)?`", page) for literal in literals(name))
    ]
    assert found == []


def names_given_to_meters(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="counts" | "_counts" | "timings" | "_timings"), slice=name
            ):
                yield node, name
            case ast.Call(func=ast.Attribute(value=meter, attr="count" | "time"), args=[name, *_]):
                if "meter" in ast.unparse(meter):
                    yield node, name


def literals(name: ast.expr) -> list[str]:
    if isinstance(name, ast.IfExp):
        return literals(name.body) + literals(name.orelse)
    return [str(name.value)] if isinstance(name, ast.Constant) else ["put together"]


async def test_queue_counts_what_went_through_it(connections: RedisConnections, key_prefix: str) -> None:
    metrics = Metrics()
    queue = PriorityQueue(
        connections,
        "work",
        keys=KeySpace(key_prefix),
        head_start={"standard": timedelta(0)},
        max_attempts=2,
        metrics=metrics,
    )
    for number in range(5):
        await queue.add(f"entry-{number}")
        await queue.add(f"entry-{number}")  # known already
    for end in ("ack", "nack", "nack", "ack"):
        claim = await queue.claim("w")
        assert claim is not None
        if end == "ack":
            await queue.ack(claim.entry_id, claim.token)
        else:
            await queue.nack(claim.entry_id, claim.token, delay=timedelta(0))

    assert metrics.summary()["queue/work"] == {"added": 5, "claimed": 4, "acked": 2, "nacked": 1, "dead": 1}
    assert len(scraped(metrics)) == 5  # whatever the number of entries
    await connections.execute("DEL", *[key async for key in connections.scan_keys(f"{key_prefix}:*")])


async def test_dead_is_counted_once_when_the_reply_is_lost(
    redis_url: str, fault_proxy: FaultProxy, key_prefix: str
) -> None:
    metrics = Metrics()
    through = RedisConnections(RedisSettings.from_url(fault_proxy.url(redis_url), socket_timeout=0.5))
    try:
        queue = PriorityQueue(
            through,
            "work",
            keys=KeySpace(key_prefix),
            head_start={"standard": timedelta(0)},
            max_attempts=1,
            metrics=metrics,
        )
        for entry in ("a", "b"):
            await queue.add(entry)
            claim = await queue.claim("w")
            assert claim is not None
            if entry == "b":  # with the first the server has learnt the script: now it does what it is asked
                fault_proxy.swallow_reply()
            await queue.nack(entry, claim.token)

        assert fault_proxy.swallowed == 1
        assert metrics.summary()["queue/work"]["dead"] == 2
        await through.execute("DEL", *[key async for key in through.scan_keys(f"{key_prefix}:*")])
    finally:
        await through.aclose()


async def test_sampler_shows_what_the_server_says(connections: RedisConnections, key_prefix: str) -> None:
    metrics = Metrics()
    queue = PriorityQueue(
        connections, "work", keys=KeySpace(key_prefix), head_start={"standard": timedelta(0)}, metrics=metrics
    )
    await queue.add("a")
    await queue.add("b", delay=timedelta(hours=1))
    sampler = RedisSampler(connections, metrics, every=timedelta(seconds=0.05), queues=[queue])
    assert metrics.summary()["redis/server"]["memory_used_bytes"] is None
    await sampler.start()
    try:
        await eventually(lambda: metrics.summary()["queue/work"]["oldest_age_seconds"])
        server, depth = metrics.summary()["redis/server"], metrics.summary()["queue/work"]
        assert server["up"] == 1
        assert server["memory_used_bytes"] > 100_000
        assert server["memory_max_bytes"] >= 0
        assert server["connected_clients"] >= 1
        assert server["evicted_keys"] == 0
        assert (depth["ready_entries"], depth["delayed_entries"], depth["leased_entries"]) == (1, 1, 0)
        await queue.claim("w")
        await eventually(lambda: metrics.summary()["queue/work"]["leased_entries"] == 1)
    finally:
        await sampler.stop()
    assert metrics.summary()["redis/server"]["up"] is None
    assert metrics.summary()["queue/work"]["leased_entries"] is None
    await connections.execute("DEL", *[key async for key in connections.scan_keys(f"{key_prefix}:*")])


async def test_pool_in_use_is_read_without_asking(connections: RedisConnections, key_prefix: str) -> None:
    metrics = Metrics()
    RedisSampler(connections, metrics)
    assert metrics.summary()["redis/server"]["pool_in_use"] == 0

    waiting = [asyncio.ensure_future(connections.commands.blpop([key_prefix], timeout=1)) for _ in range(3)]
    await eventually(lambda: metrics.summary()["redis/server"]["pool_in_use"] == 3)
    await connections.execute("RPUSH", key_prefix, 1, 2, 3)
    await asyncio.gather(*waiting)

    assert metrics.summary()["redis/server"]["pool_in_use"] == 0


async def test_sampler_survives_an_outage_and_shows_nothing_stale(disposable_server: ServerUnderTest) -> None:
    connections = RedisConnections(
        RedisSettings.from_url(disposable_server.url, retries=0, connect_timeout=0.5, socket_timeout=0.5)
    )
    metrics = Metrics()
    sampler = RedisSampler(connections, metrics, every=timedelta(seconds=0.05))

    def up() -> float | None:
        return scraped(metrics)[series("rediscore_redis_up", name="server")]

    await sampler.start()
    try:
        await eventually(lambda: up() == 1)
        await asyncio.to_thread(disposable_server.kill)
        await eventually(lambda: up() == 0)
        assert math.isnan(scraped(metrics)[series("rediscore_redis_memory_used_bytes", name="server")])
        assert metrics.summary()["redis/server"]["sample_failed"] >= 1
        await asyncio.to_thread(disposable_server.start)
        await eventually(lambda: up() == 1)
    finally:
        await sampler.stop()
        await connections.aclose()


@pytest.mark.parametrize("seconds", [0, -1])
async def test_sampler_needs_a_pause(connections: RedisConnections, seconds: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RedisSampler(connections, Metrics(), every=timedelta(seconds=seconds))
