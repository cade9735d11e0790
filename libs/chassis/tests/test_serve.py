"""A service as a process: starts, says what it lacks, and ends with code 0 after finishing its work."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pizzeria_chassis.testing import TOKENS
from rediscore.embedded import free_port
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from rediscore.testing.nursery import Forked, Nursery

HERE = Path(__file__).parent


@dataclass
class Process:
    process: Forked
    client: httpx.AsyncClient
    log: Path

    async def status(self, path: str) -> int | None:
        try:
            return (await self.client.get(path)).status_code
        except httpx.TransportError:
            return None

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def environment(redis_url: str, own_redis: RedisSettings, sqlite_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REDIS")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        "DATABASE_URL": sqlite_url,
        "REDIS_URL": f"{redis_url.rsplit('/', 1)[0]}/{own_redis.db}",
        "KITCHEN_URL": "http://127.0.0.1:1",
        "PORT": str(free_port()),
        **{f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
    }


@asynccontextmanager
async def shop(nursery: Nursery, environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Process]:
    log = tmp_path / "shop.log"
    with log.open("wb") as out:
        process = await nursery.start("-m shop", env=environment, out=out)
    address = f"http://127.0.0.1:{environment['PORT']}"
    try:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            yield Process(process, client, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(running: Process, wanted: int | None = 200) -> None:
    async def there() -> bool:
        return await running.status("/health/ready") == wanted

    await eventually(there, within=30, every=0.05, what=f"/health/ready = {wanted}")


async def in_flight(running: Process, calls: int) -> None:
    def there() -> bool:
        return [line["event"] for line in running.lines()].count("work_began") == calls

    await eventually(there, within=40, what=f"{calls} calls are in flight")


async def test_sigterm_ends_work_in_flight_and_the_exit_code_is_0(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        slow = asyncio.create_task(running.client.get("/slow", params={"seconds": 1.5}))
        waiting = asyncio.create_task(running.client.get("/wait"))
        await in_flight(running, 2)
        running.process.send_signal(signal.SIGTERM)
        assert (await waiting).text == '"stopping"', "long waits are told, and end"
        assert (await slow).text == '"done"', "what was in flight ends"
        assert await running.process.wait() == 0
        events = [line["event"] for line in running.lines()]
        assert events.index("stop_requested") < events.index("service_stopped")


async def test_sigint_ends_it_with_0_as_well(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        running.process.send_signal(signal.SIGINT)
        assert await running.process.wait() == 0


async def test_work_that_outlasts_the_grace_time_is_cut_off_and_the_exit_code_is_0(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["GRACE_SECONDS"] = "1"
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        slow = asyncio.create_task(running.client.get("/slow", params={"seconds": 600}))
        await in_flight(running, 1)
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await running.process.wait() == 0
        assert (await slow).status_code == 500


async def test_without_tokens_the_process_says_so_and_ends_with_2(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["COOK_TOKEN"]
    async with shop(nursery, environment, tmp_path) as running:
        assert await running.process.wait() == 2
        said = running.log.read_text()
    assert said.startswith("Cannot start: COOK_TOKEN missing")
    assert "Traceback" not in said


async def test_a_misspelt_redis_variable_is_named(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["REDIS_SOCKET_TIMEOT"] = "3"
    async with shop(nursery, environment, tmp_path) as running:
        assert await running.process.wait() == 2
        assert "REDIS_SOCKET_TIMEOT" in running.log.read_text()


async def test_without_redis_it_starts_is_degraded_and_takes_facts_in(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["REDIS_URL"] = "redis://127.0.0.1:1/0"
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        body = (await running.client.get("/health/ready")).json()
        assert body["status"] == "degraded"
        assert body["checks"]["redis"] == {"status": "down", "reason": "ConnectionError"}
        assert body["checks"]["database"]["status"] == "ok"
        assert (await running.client.post("/visits/o-1")).status_code == 201
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0


async def test_log_lines_are_json_with_event_service_and_level(
    nursery: Nursery, environment: dict[str, str], tmp_path: Path
) -> None:
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        running.process.send_signal(signal.SIGTERM)
        await running.process.wait()
        lines = running.lines()
    assert lines
    assert all({"event", "level", "timestamp", "service"} <= line.keys() for line in lines)
    text = json.dumps(lines)
    assert not [token for token in TOKENS.values() if token in text]


@pytest.mark.proves("I5")
async def test_what_a_process_committed_right_before_sigterm_is_on_the_stream(
    nursery: Nursery,
    environment: dict[str, str],
    tmp_path: Path,
    own_connections: Any,
    open_database: Callable[..., Any],
) -> None:
    async with shop(nursery, environment, tmp_path) as running:
        await ready(running)
        for number in range(5):
            assert (await running.client.post(f"/visits/o-{number}")).status_code == 201
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
    assert await own_connections.commands.xlen("orders.events") == 5
