"""Rate limiter: how much may be done in a time, counted for all processes together."""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, Literal

from rediscore.breaker import CircuitBreaker, CircuitOpen, CountWindow
from rediscore.breaker.member import UNREACHABLE
from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.keys import KeySpace
from rediscore.metrics import Metrics, meter_of
from rediscore.patience import Patience
from rediscore.ratelimit.answer import Quota, RateLimit
from rediscore.ratelimit.denials import Denials
from rediscore.ratelimit.errors import CostAboveLimit, RateLimitExceeded
from rediscore.ratelimit.strategies import Strategy
from rediscore.requests import request_id
from rediscore.scripts import Script

_NAME: Final = re.compile(r"[A-Za-z0-9._:-]+")


class RateLimiter:
    """Admits what all its limits have room for; each call is one script and one round trip.

    All or nothing: what one limit refuses uses none of the others, and what is refused costs nothing.
    Calls in the same instant are counted apart. Time is the server's, so clocks of clients do not matter. A
    call whose answer was lost is sent again and counts once. Every key has a TTL.

    A refusal that is certain to last is repeated from memory without asking (at most `remember`, at most
    10,000 identities), so a client that hammers costs nothing; another process's `reset` is heard that late.

    Keys in Redis hold no identity, but the first 128 bits of its SHA-256. Who can read Redis can still try
    all IP addresses: with a `secret` (HMAC) he cannot.

    Args:
        limits: one or more, of different kinds or lengths. Their names appear in answers and headers; one
            alone is called as the limiter.
        when_unavailable: what to say when Redis does not answer within `patience`: "allow" or "deny".
        patience: longest wait for Redis. After three failures in a row it is not asked for a second, then
            by one call at a time (`breaker` to decide otherwise).
        remember: how long a refusal may be repeated from memory; 0 = always ask.
        secret: for the names of keys; the same in all processes.
        now_us: only for tests, instead of the server's clock.
    """

    def __init__(
        self,
        connections: RedisConnections,
        name: str,
        *limits: Strategy,
        keys: KeySpace,
        when_unavailable: Literal["allow", "deny"] = "allow",
        patience: timedelta = timedelta(milliseconds=250),
        remember: timedelta = timedelta(seconds=1),
        secret: bytes | None = None,
        breaker: CircuitBreaker | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        now_us: Callable[[], int] | None = None,
    ) -> None:
        if not limits:
            raise ValueError("A rate limiter needs a limit, e.g. SlidingWindow(100, timedelta(minutes=1)).")
        if when_unavailable not in ("allow", "deny"):
            raise ValueError("when_unavailable is 'allow' or 'deny'.")
        if patience <= timedelta(0) or remember < timedelta(0):
            raise ValueError("A rate limiter needs patience above 0, and remember not below.")
        self.name = name
        self.policies = tuple(_named(name, limits))
        """Name and strategy of each limit."""
        if len({policy for policy, _ in self.policies}) < len(limits):
            raise ValueError("Two limits have the same name; give them names, or leave one out.")
        self._connections = connections
        parts = [f"{limit.spec[0]}-{limit.spec[2]}" for limit in limits]
        if len(set(parts)) < len(parts):
            raise ValueError("Two limits of the same kind and length: only the lower one counts, give that.")
        # One hash tag per identity: its keys share a slot, and a cluster spreads the identities.
        self._keys = [keys.key("ratelimit", part, tag=f"{name}:@").split("@") for part in (*parts, "once")]
        self._keys[-1][1] += ":"
        self._allow_blindly = when_unavailable == "allow"
        self._patience = Patience(patience.total_seconds())
        self._repeat_ms = connections.settings.repeat_ms
        self._denials = Denials(remember.total_seconds())
        self._secret = secret
        self._clock = clock or SystemClock()
        self._now = time.monotonic if clock is None else clock.monotonic
        self._now_us = now_us
        self._capacity = min(limit.spec[1] for limit in limits)
        self._quotas = [(policy, limit.spec[1], limit.window) for policy, limit in self.policies]
        self._specs = [part for limit in limits for part in limit.spec]
        self._script = Script.load("rediscore.ratelimit", "lua/check.lua")
        self._counts = meter_of(metrics, "ratelimit", name).counts
        self._breaker = breaker or CircuitBreaker(
            f"ratelimit-{name}",
            window=CountWindow(3),
            failures=3,
            open_for=timedelta(seconds=1),
            probes=1,
            record=UNREACHABLE,
            metrics=metrics,
            clock=clock,
        )

    async def hit(self, key: str, cost: int = 1) -> RateLimit:
        """Use `cost` units of `key`, if there are as many. One round trip; none when surely refused.

        Raises: CostAboveLimit. Trouble with Redis is an answer, not an error.
        """
        if key in self._denials and (known := self._denials.get(key, cost, self._now())) is not None:
            self._counts["denied_from_memory"] += 1
            return known
        answer = await self._ask("hit", key, cost)
        self._counts["allowed" if answer.allowed else "denied"] += 1
        return answer

    async def peek(self, key: str, cost: int = 1) -> RateLimit:
        """What `hit` would answer now, without using anything. One round trip."""
        return await self._ask("peek", key, cost)

    async def acquire(self, key: str, cost: int = 1, *, wait: timedelta) -> RateLimit:
        """As `hit`, but wait for room up to `wait`; at once an error when it will not be there by then.

        A round trip per try; who waits has no place in a line.

        Raises: RateLimitExceeded, CostAboveLimit.
        """
        deadline = self._now() + wait.total_seconds()
        while not (answer := await self.hit(key, cost)).allowed:
            if self._now() + answer.retry_after > deadline:
                raise RateLimitExceeded(answer)
            await self._clock.sleep(answer.retry_after)
        return answer

    async def reset(self, key: str) -> None:
        """Forget what `key` has used. One round trip.

        Raises: redis-py's errors.
        """
        self._denials.forget(key)
        identity = self._identity(key)
        keys = [f"{before}{identity}{after}" for before, after in self._keys[:-1]]
        await self._connections.execute("UNLINK", *keys, idempotent=True)

    async def _ask(self, verb: str, key: str, cost: int) -> RateLimit:
        if not 1 <= cost <= self._capacity:
            raise CostAboveLimit(
                f"A call costs 1 to {self._capacity} under {self.name}, not {cost}: split it."
            )
        begun = self._now()
        try:
            reply = await self._breaker.call(self._run, verb, self._identity(key), cost)
        except (CircuitOpen, *UNREACHABLE):
            self._counts["unavailable"] += 1
            return self._blind()
        quotas = tuple(
            [
                Quota(*quota, reply[i], reply[i + 1] / 1e6, reply[i + 2] / 1e6)
                for i, quota in zip(range(1, len(reply), 3), self._quotas, strict=True)
            ]
        )
        answer = RateLimit.of(reply[0] == 1, quotas)
        if not answer.allowed:
            self._denials.keep(key, cost, answer, begun)
        return answer

    async def _run(self, verb: str, identity: str, cost: int) -> Any:
        keys = [f"{before}{identity}{after}" for before, after in self._keys]
        keys[-1] += request_id()
        now = "" if self._now_us is None else self._now_us()
        args = [now, verb, cost, self._repeat_ms, *self._specs]
        with self._patience.limit():
            return await self._script(self._connections, keys=keys, args=args, idempotent=True)

    def _blind(self) -> RateLimit:
        policy, limit = self.policies[0]
        left = limit.spec[1] if self._allow_blindly else 0
        wait = 0.0 if self._allow_blindly else max(1.0, self._breaker.retry_after)
        return RateLimit(self._allow_blindly, policy, limit.spec[1], left, 0.0, wait, (), unknown=True)

    def _identity(self, key: str) -> str:
        if self._secret is not None:
            return hmac.digest(self._secret, key.encode(), "sha256").hex()[:32]
        return hashlib.sha256(key.encode()).hexdigest()[:32]


def _named(name: str, limits: tuple[Strategy, ...]) -> Iterator[tuple[str, Strategy]]:
    for limit in limits:
        seconds = f"{limit.per.total_seconds():g}s"
        policy = limit.name or (name if len(limits) == 1 else f"{name}-{limit.spec[0]}-{seconds}")
        if not _NAME.fullmatch(policy):
            raise ValueError(
                f"The name of a limit is letters, digits, '.', '_', ':' and '-', not {policy!r}."
            )
        yield policy, limit
