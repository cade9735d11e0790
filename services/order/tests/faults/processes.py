"""Order services as processes, to be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.tls import trusted
from rediscore.testing import eventually

from services.order.tests.harness import House


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Nursery:
    """The process that all services of one test run are forked from; see `nursery.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.order.tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, environment: dict[str, str]) -> int:
        """The id of a new process."""
        return int(self._ask(start=environment)["pid"])

    def exit_code(self, pid: int) -> int | None:
        """As subprocess has it; None while it runs. After that it is forgotten."""
        code = self._ask(wait=pid)["code"]
        return None if code is None else int(code)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Replica:
    """One process of the order service on a port that it keeps over restarts."""

    def __init__(self, house: House, nursery: Nursery) -> None:
        self._house = house
        self._nursery = nursery
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=10, verify=trusted())
        self._pid: int | None = None

    async def start(self, die_at: str = "", **changes: str) -> None:
        redis = self._house.redis
        password = redis.password.get_secret_value() if redis.password else ""
        self._pid = self._nursery.start(
            {
                "PATH": os.environ["PATH"],
                "ENVIRONMENT": "demo",
                "PORT": str(self.port),
                "DATABASE_URL": self._house.database_url,
                "REDIS_URL": f"redis://:{password}@{redis.host}:{redis.port}/{redis.db}",
                "MENU_URL": self._house.menu_url,
                "KITCHEN_URL": self._house.kitchen_url,
                "PAYMENT_TIMEOUT_SECONDS": "0.5",
                "SAGA_LEASE_SECONDS": "1",
                "SAGA_POLL_SECONDS": "0.1",
                "NOTICE_PATIENCE_SECONDS": "0.5",
                "DIE_AT": die_at,
                **{f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
                **changes,
            }
        )
        await eventually(self._answers, within=30, every=0.05, what="order service up")

    async def killed(self) -> None:
        """Return when the process has killed itself; it did not just end."""
        assert await self._ended() == -signal.SIGKILL

    async def kill(self) -> None:
        assert self._pid is not None
        os.kill(self._pid, signal.SIGKILL)
        await self._ended()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._pid is not None
        os.kill(self._pid, signal.SIGTERM)
        return await self._ended()

    async def close(self) -> None:
        if self._pid is not None:
            await self.kill()
        await self.http.aclose()

    async def _ended(self) -> int:
        assert self._pid is not None
        pid, codes = self._pid, list[int]()

        def look() -> bool:
            code = self._nursery.exit_code(pid)
            codes.extend([] if code is None else [code])
            return bool(codes)

        await eventually(look, within=20, every=0.02, what="order service ended")
        self._pid = None
        return codes[0]

    async def _answers(self) -> bool:
        try:
            return (await self.http.get("/health/live")).status_code == 200
        except httpx.TransportError:
            return False
