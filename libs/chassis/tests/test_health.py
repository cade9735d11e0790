"""Readiness tells the truth: 503 for what is required, degraded for the rest, and why."""

import asyncio
from collections.abc import Mapping

import pytest
from fastapi import FastAPI
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator
from pizzeria_chassis.health import OK, Check
from pizzeria_chassis.testing import caller


class Part:
    """A component that is as well as it is told to be."""

    def __init__(self, name: str, check: Check = OK, log: list[str] | None = None) -> None:
        self.name = name
        self.check = check
        self.log = log if log is not None else []

    async def start(self) -> None:
        self.log.append(f"start {self.name}")

    async def stop(self) -> None:
        self.log.append(f"stop {self.name}")

    def checks(self) -> Mapping[str, Check]:
        return {self.name: self.check}


class Stubborn(Part):
    async def start(self) -> None:
        await super().start()
        raise RuntimeError("cannot start")


async def _fine() -> None:
    return


async def _away() -> None:
    raise ConnectionError("redis://user:hunter2@host refused")


async def _hangs() -> None:
    await asyncio.sleep(60)


def _app(*parts: Part, redis: object = _fine, required: tuple[str, ...] = ("database",)) -> FastAPI:
    return create_app(
        Service(
            name="shop",
            description="A shop.",
            authenticator=Authenticator({}),
            components=parts,
            probes={"database": _fine, "redis": redis},  # type: ignore[dict-item]
            required=frozenset(required),
        )
    )


async def _ready(app: FastAPI) -> tuple[int, dict[str, object]]:
    async with caller(app) as client:
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.get("/health/ready")
    return answer.status_code, answer.json()


async def test_all_is_well() -> None:
    status, body = await _ready(_app(Part("outbox", Check("ok", "standby"))))
    assert (status, body["status"]) == (200, "ready")
    assert body["checks"] == {
        "database": {"status": "ok", "reason": ""},
        "redis": {"status": "ok", "reason": ""},
        "outbox": {"status": "ok", "reason": "standby"},
    }


@pytest.mark.parametrize(
    ("required", "expected"), [(("database",), (200, "degraded")), (("database", "redis"), (503, "down"))]
)
async def test_redis_away(required: tuple[str, ...], expected: tuple[int, str]) -> None:
    status, body = await _ready(_app(redis=_away, required=required))
    assert (status, body["status"]) == expected
    assert "hunter2" not in str(body)


async def test_a_dependency_that_hangs_is_down_within_two_seconds() -> None:
    async with asyncio.timeout(10):
        status, body = await _ready(_app(redis=_hangs, required=("redis",)))
    assert (status, body["status"]) == (503, "down")
    assert "no answer in time" in str(body)


async def test_a_component_that_is_not_well_degrades_and_says_why() -> None:
    status, body = await _ready(_app(Part("outbox", Check("degraded", "3 events wait"))))
    assert (status, body["status"]) == (200, "degraded")
    assert "3 events wait" in str(body)


async def test_who_was_asked_to_stop_is_not_ready() -> None:
    app = _app()
    app.state.stopping.set()
    status, body = await _ready(app)
    assert (status, body["status"]) == (503, "stopping")


async def test_components_start_in_order_and_stop_in_reverse() -> None:
    log: list[str] = []
    app = _app(Part("a", log=log), Part("b", log=log))
    async with app.router.lifespan_context(app):
        assert log == ["start a", "start b"]
    assert log[2:] == ["stop b", "stop a"]


async def test_when_one_cannot_start_those_before_it_are_stopped() -> None:
    log: list[str] = []
    app = _app(Part("a", log=log), Stubborn("b", log=log), Part("c", log=log))
    with pytest.raises(RuntimeError, match="cannot start"):
        async with app.router.lifespan_context(app):
            pass
    assert log == ["start a", "start b", "stop b", "stop a"]
