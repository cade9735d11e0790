"""Liveness and readiness: what a check is, and what the answers are."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

__all__ = ["OK", "Check", "Component", "Health", "Probe"]


@dataclass(frozen=True)
class Check:
    """The state of one thing that a service stands on; ``reason`` says what is wrong."""

    status: Literal["ok", "degraded", "down"] = "ok"
    reason: str = ""


OK: Final = Check()


class Component(Protocol):
    """Something that runs as long as its service: started in order, stopped in reverse order."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def checks(self) -> Mapping[str, Check]:
        """Return the present state without I/O; names are unique in the service."""
        ...


Probe = Callable[[], Awaitable[object]]
"""Asks a dependency now; any exception means that it is away."""

PROBE_TIMEOUT: Final = 1.5


class Health:
    """Answers ``/health/live`` and ``/health/ready``.

    Ready means that every *required* check is not down and nobody has asked the service to stop. A check
    that is not ok and not required only degrades.
    """

    def __init__(
        self, *, components: Sequence[Component], probes: Mapping[str, Probe], required: frozenset[str]
    ) -> None:
        self._components = components
        self._probes = probes
        self._required = required
        self.stopping = asyncio.Event()

    async def checks(self) -> dict[str, Check]:
        """Return all checks; probes run together, each within 1.5 s."""
        results = await asyncio.gather(*(self._probe(probe) for probe in self._probes.values()))
        found = dict(zip(self._probes, results, strict=True))
        for component in self._components:
            found.update(component.checks())
        return found

    async def _probe(self, probe: Probe) -> Check:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await probe()
        except TimeoutError:
            return Check("down", "no answer in time")
        except Exception as error:  # noqa: BLE001 - a probe reports every failure as a state
            return Check("down", type(error).__name__)
        return OK

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/health", tags=["health"])

        @router.get("/live")
        async def live() -> dict[str, str]:
            """The process runs and answers."""
            return {"status": "ok"}

        @router.get("/ready", responses={503: {"description": "Not ready; checks say why."}})
        async def ready() -> Response:
            """Whether to send work here, and what is wrong if anything is."""
            checks = await self.checks()
            down = any(checks[name].status == "down" for name in self._required if name in checks)
            if self.stopping.is_set():
                status = "stopping"
            elif down:
                status = "down"
            else:
                status = "ready" if all(check.status == "ok" for check in checks.values()) else "degraded"
            body = {
                "status": status,
                "checks": {
                    name: {"status": check.status, "reason": check.reason} for name, check in checks.items()
                },
            }
            return JSONResponse(body, 200 if status in ("ready", "degraded") else 503)

        return router
