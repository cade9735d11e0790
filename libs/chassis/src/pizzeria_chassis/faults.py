"""Faults that somebody switches on in the demo, to see what happens then (ADR 0076).

They end by themselves, live in the memory of one process, and outside the demo nothing can switch them on.
"""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog
from rediscore.breaker import CircuitBreaker
from rediscore.clock import Clock
from starlette.types import ASGIApp, Receive, Scope, Send

from pizzeria_chassis.health import Check
from pizzeria_chassis.problems import problem_response, unavailable

__all__ = ["FaultKind", "Faults", "InjectFaults", "UnknownTarget"]

_log = structlog.get_logger(__name__)

FaultKind = Literal["latency", "errors", "pause", "away"]
HTTP: Final = "http"
SPARED: Final = ("/ops", "/health", "/metrics", "/docs", "/openapi.json", "/asyncapi.json")
"""Whoever looks for the fault must find it, and be able to end it."""


class UnknownTarget(Exception):  # noqa: N818 - named by what is the case
    """There is nothing of that name that could have this fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    target: str
    value: float
    until: float
    timer: asyncio.TimerHandle = field(repr=False, compare=False)

    def __str__(self) -> str:
        match self.kind:
            case "latency":
                return f"answers come {self.value:g} ms later"
            case "errors":
                return f"{self.value:.0%} of requests are answered 503"
            case "pause":
                return f"{self.target} is not consumed"
            case "away":
                return f"calls to {self.target} are refused"


class Faults:
    """What is switched on in this process; also a component that says so in ``/health/ready``.

    ``latency`` (milliseconds) and ``errors`` (share of requests, 0 to 1) strike answers over HTTP, ``pause``
    the consumer of a stream, ``away`` the calls behind a breaker: they are refused as if it were open.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        streams: Collection[str],
        breakers: Mapping[str, CircuitBreaker],
    ) -> None:
        self._clock = clock
        self._streams = streams
        self._breakers = breakers
        self._on: dict[tuple[FaultKind, str], Fault] = {}

    def targets(self) -> dict[FaultKind, Sequence[str]]:
        """Return what can have which fault."""
        return {
            "latency": [HTTP],
            "errors": [HTTP],
            "pause": sorted(self._streams),
            "away": sorted(self._breakers),
        }

    def switch_on(self, kind: FaultKind, target: str, *, value: float, seconds: float) -> None:
        """Have a fault for so long; again: instead of the one before. Raises UnknownTarget."""
        if target not in self.targets()[kind]:
            known = ", ".join(self.targets()[kind]) or "nothing"
            raise UnknownTarget(f"{kind} can strike {known} here, not {target}.")
        self.switch_off(kind, target)
        timer = asyncio.get_running_loop().call_later(seconds, self.switch_off, kind, target)
        fault = self._on[kind, target] = Fault(kind, target, value, self._clock.monotonic() + seconds, timer)
        if kind == "away":
            self._breakers[target].force_open()
        _log.warning("fault_on", kind=kind, target=target, value=value, seconds=seconds, means=str(fault))

    def switch_off(self, kind: FaultKind, target: str) -> None:
        """End a fault, if there is one."""
        if (fault := self._on.pop((kind, target), None)) is None:
            return
        fault.timer.cancel()
        if kind == "away":
            self._breakers[target].reset()
        _log.warning("fault_off", kind=kind, target=target)

    def active(self) -> Sequence[tuple[Fault, float]]:
        """Return what is on, each with the seconds that it has left."""
        now = self._clock.monotonic()
        return [(fault, max(0.0, fault.until - now)) for fault in self._on.values()]

    def paused(self, stream: str) -> bool:
        return ("pause", stream) in self._on

    def value(self, kind: FaultKind) -> float:
        """Return how much of a fault the answers over HTTP have; 0 without."""
        fault = self._on.get((kind, HTTP))
        return 0.0 if fault is None else fault.value

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        for kind, target in list(self._on):
            self.switch_off(kind, target)

    def checks(self) -> Mapping[str, Check]:
        if not self._on:
            return {}
        reason = "; ".join(f"{fault}, {left:.0f} s more" for fault, left in self.active())
        return {"faults": Check("degraded", f"switched on: {reason}")}


class InjectFaults:
    """Gives answers the faults that are switched on. Only in apps of the demo."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._random = random.Random()  # noqa: S311 - which requests fail is no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(SPARED):
            if latency := self._faults.value("latency"):
                await asyncio.sleep(latency / 1000)
            if self._random.random() < self._faults.value("errors"):
                refused = unavailable("A fault is switched on in this demo; see /ops/faults.")
                await problem_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)
