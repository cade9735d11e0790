"""Faults on request: in the demo alone, for a bounded time, seen by whoever looks."""

import time
from pathlib import Path

import pytest
from pizzeria_chassis.testing.events import STARTED, Upstream
from pizzeria_contracts.streams import KITCHEN
from rediscore.breaker import CircuitOpen
from rediscore.settings import RedisSettings
from rediscore.testing import eventually

from .test_ops import Shop, demo, shop

__all__ = ["demo"]


async def switch(demo: Shop, **fault: object) -> None:
    answer = await demo.client.post("/ops/faults", json=fault)
    assert answer.status_code == 201, answer.text


@pytest.mark.proves("P16")
async def test_outside_the_demo_there_are_no_switches(
    tmp_path: Path, own_redis: RedisSettings, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    async with shop(tmp_path, own_redis, upstream, "production") as real:
        for method in ("GET", "POST", "DELETE"):
            answer = await real.client.request(method, "/ops/faults", json={"kind": "errors", "value": 1})
            assert answer.status_code == 404
        assert await real.get("/ops/lag")


@pytest.mark.proves("P16")
async def test_answers_come_late_or_fail_until_the_time_is_over(demo: Shop) -> None:
    await switch(demo, kind="latency", value=120, seconds=60)
    started = time.monotonic()
    await demo.get("/events/head")
    assert time.monotonic() - started >= 0.12
    await switch(demo, kind="errors", value=1, seconds=2.5)
    refused = await demo.client.get("/events/head")
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "retry-after" in refused.headers
    ready = await demo.get("/health/ready")
    assert ready["status"] == "degraded", "and still 200: whoever sends work here knows"
    reason = ready["checks"]["faults"]["reason"]
    assert "120 ms later" in reason and "100% of requests" in reason  # noqa: PT018 - one sentence
    assert (await demo.get("/ops/topology"))["checks"]["faults"]["status"] == "degraded"

    async def over() -> bool:
        return (await demo.client.get("/events/head")).status_code == 200

    await eventually(over, what="it ends by itself")
    assert [fault["kind"] for fault in (await demo.get("/ops/faults"))["items"]] == ["latency"]
    assert (await demo.client.request("DELETE", "/ops/faults")).json()["items"] == []
    assert "faults" not in (await demo.get("/health/ready"))["checks"]
    assert [deed["action"] for deed in (await demo.get("/ops/log"))["items"]] == [
        "faults-off",
        "fault",
        "fault",
    ]


@pytest.mark.proves("P16", "I9")
async def test_a_paused_consumer_misses_nothing(demo: Shop, upstream: Upstream) -> None:
    await switch(demo, kind="pause", target=KITCHEN, seconds=60)
    for number in range(3):
        await upstream.tell(STARTED, f"o-{number}")

    async def behind() -> bool:
        (kitchen,) = (await demo.get("/ops/lag"))["streams"]
        return bool(kitchen["pending"] == 3 and kitchen["behind"] == 3)

    await eventually(behind, within=40, what="it lies")
    assert (await demo.get("/events/positions"))["outbox"]["head"] == 0
    await demo.client.request("DELETE", "/ops/faults")

    async def caught_up() -> bool:
        return bool((await demo.get("/events/positions"))["outbox"]["head"] == 3)

    await eventually(caught_up, within=40)
    assert await demo.letters() == [], "being paused is no failure of an event"


@pytest.mark.proves("P16", "R11")
async def test_calls_behind_a_breaker_are_refused_for_a_while(demo: Shop) -> None:
    await switch(demo, kind="away", target="redis", seconds=0.4)
    breaker = demo.chassis.redis_breaker
    with pytest.raises(CircuitOpen):
        await breaker.call(demo.chassis.connections.ping)
    await eventually(lambda: breaker.state.name == "CLOSED", what="closed again by itself")
    await breaker.call(demo.chassis.connections.ping)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "latency", "value": 0, "seconds": 5}, 422),
        ({"kind": "latency", "value": 10_001, "seconds": 5}, 422),
        ({"kind": "errors", "value": 1.5, "seconds": 5}, 422),
        ({"kind": "errors", "value": 0.5, "seconds": 601}, 422),
        ({"kind": "fire", "value": 0.5}, 422),
        ({"kind": "pause", "target": "menu.events"}, 404),
        ({"kind": "away", "target": "provider"}, 404),
    ],
)
async def test_what_makes_no_sense_is_refused(fault: dict[str, object], status: int, demo: Shop) -> None:
    assert (await demo.client.post("/ops/faults", json=fault)).status_code == status
    assert (await demo.get("/ops/faults"))["items"] == []
