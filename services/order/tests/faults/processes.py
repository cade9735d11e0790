"""Order services as processes, to be killed."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.tls import trusted
from rediscore.embedded import free_port
from rediscore.testing import eventually
from rediscore.testing.nursery import Forked, Nursery

from services.order.tests.harness import House

DYING_SERVICE = "-m services.order.tests.faults.dying_service"


class Replica:
    """One process of the order service on a port that it keeps over restarts."""

    def __init__(self, house: House, nursery: Nursery) -> None:
        self._house = house
        self._nursery = nursery
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=10, verify=trusted())
        self.log = Path(os.devnull)
        self._process: Forked | None = None

    async def start(self, die_at: str = "", **changes: str) -> None:
        redis = self._house.redis
        password = redis.password.get_secret_value() if redis.password else ""
        environment = {
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
            "STREAM_LEASE_SECONDS": "1",  # whoever comes after waits until the dead one's has run out
            "DIE_AT": die_at,
            **{f"{role.upper()}_TOKEN": token for role, token in TOKENS.items()},
            **changes,
        }
        with self.log.open("ab") as out:
            self._process = await self._nursery.start(DYING_SERVICE, env=environment, out=out)
        await eventually(self._answers, within=30, every=0.05, what="order service up")

    async def killed(self) -> None:
        """Return when the process has killed itself; it did not just end."""
        assert await self._ended() == -signal.SIGKILL

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._ended()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self._ended()

    async def close(self) -> None:
        if self._process is not None:
            await self.kill()
        await self.http.aclose()

    async def _ended(self) -> int:
        assert self._process is not None
        code = await asyncio.wait_for(self._process.wait(), 60)
        self._process = None
        return code

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, f"it ended at its start: {self._process.returncode}"
        try:
            return (await self.http.get("/health/live")).status_code == 200
        except httpx.TransportError:
            return False
