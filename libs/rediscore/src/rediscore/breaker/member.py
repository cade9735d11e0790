"""One breaker's part in the state that processes share."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from rediscore.breaker.circuit import Circuit, Permit, Policy, State
from rediscore.requests import request_id

if TYPE_CHECKING:
    from rediscore.breaker.shared import SharedBreakers

UNREACHABLE: Final = (RedisError, OSError, TimeoutError)
_ASK_AGAIN: Final = 0.1
"""Seconds for which a process that was refused a probe refuses by itself."""


class Member:
    """Tells the others what happens to this circuit, and does what they tell.

    Counting is local; what travels is openings, closings and the leases of probes. What is not told
    because Redis is away is told when it is back, if it still holds.
    """

    __slots__ = (
        "_adopting",
        "_circuit",
        "_now",
        "_policy",
        "_quiet_until",
        "_shared",
        "_untold",
        "_version",
        "name",
    )

    def __init__(
        self,
        shared: "SharedBreakers",
        name: str,
        circuit: Circuit,
        policy: Policy,
        now: Callable[[], float],
    ) -> None:
        self.name = name
        self._shared = shared
        self._circuit = circuit
        self._policy = policy
        self._now = now
        self._version = 0
        self._untold = False
        self._adopting = False
        self._quiet_until = 0.0

    @property
    def retry_after(self) -> float:
        """Seconds until a call may be let through."""
        return max(self._circuit.retry_after, self._quiet_until - self._now(), 0.0)

    async def admit(self, permit: Permit) -> Permit | None:
        """A lease for this probe, a permit of the circuit that turns out to be closed, or None.

        Without Redis the permit counts in this process alone. One round trip, within the patience.
        """
        if not self._shared.active:
            return permit
        if self._now() < self._quiet_until:
            self._circuit.release(permit)
            return None
        token = request_id()
        asking = self._shared.spawn(self._lease(token))
        try:
            reply = await asyncio.shield(asking)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if asking.cancelled() and caller is not None and not caller.cancelling():
                return permit  # nobody shares any more
            self._circuit.release(permit)
            self._shared.spawn(self._give_back(asking, token))
            raise
        except UNREACHABLE:
            permit.lease = token  # perhaps it was given
            return permit
        leased, *news = reply
        if leased:
            self.adopt(*news)
            permit.lease = token
            return permit
        self._circuit.release(permit)
        self.adopt(*news)
        if self._circuit.state is State.CLOSED:
            return self._circuit.try_acquire()
        if self._circuit.state is State.HALF_OPEN:
            self._quiet_until = self._now() + _ASK_AGAIN
        return None

    def settle(self, permit: Permit, *, succeeded: bool) -> None:
        """The probe with this permit has ended; in the background. A failure is told by `moved`."""
        token, permit.lease = permit.lease, None
        if token is not None and self._shared.active:
            self._shared.spawn(self._settle(token, succeeded=succeeded))

    def moved(self, after: State) -> None:
        """The circuit has changed: tell the others that it is open."""
        if after is State.OPEN and not (self._adopting or self._circuit.forced) and self._shared.active:
            self._shared.spawn(self._move("open"))

    def reset(self) -> None:
        """Close it everywhere."""
        if self._shared.active:
            self._shared.spawn(self._move("closed"))

    async def catch_up(self) -> None:
        """Learn what was said while nobody listened; say what could not be said. One round trip or two.

        Raises: redis-py's errors.
        """
        self.adopt(*await self._run("look"))
        circuit = self._circuit
        if self._untold and circuit.state is State.OPEN and not circuit.forced:
            await self._move("open")

    def adopt(self, state: bytes, version: Any, wait_ms: Any, openings: Any) -> None:
        """Do what is newer than what is known here."""
        if int(version) <= self._version:
            return
        self._version = int(version)
        circuit = self._circuit
        if circuit.forced:
            return
        self._adopting = True
        try:
            if state == b"open":
                circuit.open("told by another process", pause=int(wait_ms) / 1000, openings=int(openings))
            elif state == b"closed":
                circuit.close("told by another process")
            elif circuit.state is State.CLOSED:
                circuit.open("told by another process", pause=0.0, openings=int(openings))
        finally:
            self._adopting = False

    async def _lease(self, token: str) -> Any:
        policy = self._policy
        return await self._run("probe", token, self._version, policy.probes, _ms(policy.half_open_patience))

    async def _give_back(self, asking: "asyncio.Task[Any]", token: str) -> None:
        await asyncio.wait({asking})
        await self._settle(token, succeeded=False)

    async def _settle(self, token: str, *, succeeded: bool) -> None:
        self.adopt(*await self._run("settle", token, int(succeeded), self._policy.successes))

    async def _move(self, to: str) -> None:
        circuit, known = self._circuit, self._version
        opening = to == "open"
        args = (known, _ms(circuit.retry_after), circuit.openings) if opening else ("", 0, 0)
        try:
            news = await self._run("move", to, *args)
        except UNREACHABLE:
            self._untold = opening
            raise
        self._untold = False
        self.adopt(*news)

    async def _run(self, script: str, *args: str | int) -> Any:
        return await self._shared.run(script, self.name, *args)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
