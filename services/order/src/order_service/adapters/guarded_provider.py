"""The payment provider behind a circuit breaker: while it does not answer, nobody waits for it in vain."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from pizzeria_chassis.health import OK, Check
from rediscore.breaker import CircuitBreaker, CircuitOpen, CountWindow, State
from rediscore.clock import Clock
from rediscore.metrics import Metrics
from rediscore.retry import Backoff

from order_service.domain.errors import ProviderNotAsked, ProviderUnavailable
from order_service.domain.news import Settlement
from order_service.domain.saga import Answer
from order_service.use_cases.ports import PaymentProvider

T = TypeVar("T")


class GuardedProvider:
    """See `use_cases.ports.PaymentProvider`; also a component, whose check tells of an open breaker.

    Four calls of five have to fail: a card whose charges time out, each followed by a lookup that
    succeeds, says nothing about the provider.
    """

    def __init__(self, provider: PaymentProvider, *, clock: Clock, metrics: Metrics) -> None:
        self._provider = provider
        self.breaker = CircuitBreaker(
            "payments",
            window=CountWindow(20),
            failure_rate=0.8,
            minimum_calls=10,
            open_for=Backoff(0.5, 10.0),
            probes=1,
            record=ProviderUnavailable,
            metrics=metrics,
            clock=clock,
        )

    def knows(self, token: str) -> bool:
        return self._provider.knows(token)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        return await self._guarded(partial(self._provider.charge, key, amount, token))

    async def lookup(self, key: str) -> Answer:
        return await self._guarded(partial(self._provider.lookup, key))

    async def refund(self, key: str) -> Settlement:
        return await self._guarded(partial(self._provider.refund, key))

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    def checks(self) -> Mapping[str, Check]:
        if self.breaker.state is State.CLOSED:
            return {"payments": OK}
        return {"payments": Check("degraded", "the payment provider does not answer; orders stay pending")}

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self.breaker.call(call)
        except CircuitOpen as error:
            raise ProviderNotAsked(timedelta(seconds=error.retry_after)) from None
