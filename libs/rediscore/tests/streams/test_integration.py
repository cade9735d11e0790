"""FastStream at the edge: injection, AsyncAPI, and its own publisher."""

import json
import subprocess
import sys
from typing import Annotated

import pytest
from faststream import Context, Depends
from faststream.redis import RedisBroker
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from rediscore.streams import CloudEvent, Reject
from rediscore.testing import eventually
from rediscore.testing.streams import Recorder, StreamKit

from .conftest import die

pytestmark = pytest.mark.proves("R18")


class Line(BaseModel):
    pizza: str


class Placed(BaseModel):
    """An order was placed."""

    lines: list[Line]


class Cancelled(BaseModel):
    reason: str


def tariff() -> str:
    return "real"


async def test_dependencies_and_context_are_injected_and_can_be_overridden(kit: StreamKit) -> None:
    seen: list[tuple[str, str, str]] = []
    streams = kit.streams()
    subscriber = streams.subscriber(kit.stream, retry=kit.quick)

    @subscriber.on("shop.placed.v1")
    async def handle(
        event: CloudEvent[Placed],
        rate: Annotated[str, Depends(tariff)],
        shop: Annotated[str, Context()],
    ) -> None:
        seen.append((event.data.lines[0].pizza, rate, shop))

    streams.broker.context.set_global("shop", "corner")
    await kit.publish(kit.event("a", type="shop.placed.v1", lines=[{"pizza": "margherita"}]))
    await streams.start()
    await eventually(lambda: seen == [("margherita", "real", "corner")])
    with streams.broker.provider.scope(tariff, lambda: "fake"):
        await kit.publish(kit.event("b", type="shop.placed.v1", lines=[{"pizza": "diavola"}]))
        await eventually(lambda: seen[1:] == [("diavola", "fake", "corner")])
    await kit.settled()


async def test_an_event_that_faststream_publishes_is_handled(
    kit: StreamKit, redis_url: str, recorder: Recorder
) -> None:
    await kit.read(recorder)
    async with RedisBroker(redis_url) as broker:
        await broker.publish(json.loads(kit.event("a").to_json()), stream=kit.stream)
    await eventually(lambda: recorder.ids == ["a"])
    await kit.settled()


def test_asyncapi_describes_what_is_read_and_written(kit: StreamKit) -> None:
    streams = kit.streams()
    subscriber = streams.subscriber("kitchen.events")

    @subscriber.on("kitchen.order_ready.v1")
    async def handle(event: CloudEvent[Placed], rate: Annotated[str, Depends(tariff)]) -> None: ...

    async def anything(event: object) -> None: ...

    subscriber.on_any(anything, payloads={"kitchen.refused.v1": Cancelled})
    streams.publishes("orders.events", {"order.placed.v1": Placed, "order.cancelled.v1": Cancelled})
    document = streams.asyncapi("order", "1.2.3")
    assert document["asyncapi"] == "3.0.0"
    assert document["info"] == {"title": "order", "version": "1.2.3"}
    assert {(o["action"], o["channel"]["$ref"]) for o in document["operations"].values()} == {
        ("receive", "#/channels/kitchen.events:receive"),
        ("send", "#/channels/orders.events:send"),
    }
    channels = {name: channel["address"] for name, channel in document["channels"].items()}
    assert channels == {"kitchen.events:receive": "kitchen.events", "orders.events:send": "orders.events"}
    messages = document["components"]["messages"].values()
    types = {ref["$ref"].rsplit("/", 1)[1] for message in messages for ref in message["payload"]["oneOf"]}
    assert types == {
        "kitchen.order_ready.v1",
        "kitchen.refused.v1",
        "order.placed.v1",
        "order.cancelled.v1",
    }
    # The schemas say what really goes over the wire.
    event = kit.event("a", type="order.placed.v1", lines=[{"pizza": "margherita"}])
    schema = {"$ref": "#/components/schemas/order.placed.v1", "components": document["components"]}
    Draft202012Validator(schema).validate(json.loads(event.to_json()))
    other = kit.event("a", type="order.cancelled.v1", lines=[])
    assert not Draft202012Validator(schema).is_valid(json.loads(other.to_json()))
    # Asking again gives the same, and nothing of it needs Redis.
    assert streams.asyncapi("order", "1.2.3") == document


def test_faststream_is_not_imported_by_a_service_that_injects_nothing() -> None:
    code = "import sys, rediscore.streams; sys.exit('faststream' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0


@pytest.mark.proves("R20")
async def test_metrics_count_ends_and_show_the_backlog(kit: StreamKit, recorder: Recorder) -> None:
    registry = CollectorRegistry()
    streams = kit.streams(registry=registry)
    subscriber = streams.subscriber(kit.stream, retry=kit.quick, ignore={"ignored"})
    subscriber.on_any(recorder)
    recorder.failing |= {"refused": Reject("no"), "broken": ValueError("no")}
    await kit.publish(*(kit.event(name) for name in ("good", "refused", "broken")))
    await kit.publish(kit.event("other", type="ignored"))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    await kit.commands.xreadgroup(kit.group, "gone", {kit.stream: ">"}, count=1)

    def value(name: str, **labels: str) -> float | None:
        labels = {"stream": kit.stream, "group": kit.group} | labels
        return registry.get_sample_value(f"rediscore_stream_{name}", labels)

    await streams.start()
    await kit.settled()
    assert value("events_total", outcome="handled") == 1
    assert value("events_total", outcome="ignored") == 1
    assert value("events_total", outcome="dead") == 2
    assert value("dead_letters_total", reason="rejected") == 1
    assert value("dead_letters_total", reason="handler-failed") == 1
    assert value("handler_failures_total") == 3
    await eventually(lambda: value("lag_entries") is not None)


@pytest.mark.proves("R20")
async def test_the_backlog_is_that_of_redis(kit: StreamKit) -> None:
    from rediscore.streams.backlog import Backlog, read_backlog

    async def backlog() -> Backlog:
        return await read_backlog(kit.connections, [kit.stream, f"{kit.stream}.missing"], kit.group)

    assert await backlog() == Backlog(0, 0, 0.0)
    await kit.publish(*(kit.event(f"e{n}") for n in range(5)))
    await kit.commands.xgroup_create(kit.stream, kit.group, id="0")
    assert await backlog() == Backlog(5, 0, 0.0)
    await kit.commands.xreadgroup(kit.group, "c", {kit.stream: ">"}, count=2)
    found = await backlog()
    assert (found.lag, found.pending) == (3, 2)
    assert 0 < found.oldest_pending < 30


@pytest.mark.proves("R20")
async def test_dead_letters_and_what_was_sent_again_are_gauges(kit: StreamKit, recorder: Recorder) -> None:
    from rediscore.streams.backlog import read_backlog

    await die(kit, recorder, "a", "b", "c")
    assert await kit.box().redrive((await kit.dead())[0].id, by="luigi")
    found = await read_backlog(kit.connections, [kit.stream], kit.group)
    assert (found.dead, found.sent_again, found.pending, found.lag) == (2, 1, 0, 0)
    registry = CollectorRegistry()
    streams = kit.streams(registry=registry)
    streams.subscriber(kit.stream).on_any(recorder)
    await streams.start()

    def value(name: str) -> float | None:
        return registry.get_sample_value(
            f"rediscore_stream_{name}_entries", {"stream": kit.stream, "group": kit.group}
        )

    await eventually(lambda: value("dead_letter") == 2)
    await eventually(lambda: value("redrive") is not None)
