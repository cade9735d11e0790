"""The order service, except that it kills itself with SIGKILL at a chosen point of a saga step.

DIE_AT: `<call>:before` or `<call>:after` of a call to the payment provider; `notices:before` or
`notices:after` of the transaction that writes letters; `checkout:ordered` between an order and the emptying
of its cart; empty: never.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from order_service.adapters.redis_carts import RedisCarts
from order_service.adapters.sql_mailbox import SqlMailbox
from order_service.bootstrap import create_order_app
from order_service.domain.news import Settlement
from order_service.domain.notices import Notice
from order_service.domain.order import Order
from order_service.domain.records import Due
from order_service.domain.saga import Answer
from order_service.settings import OrderSettings
from order_service.use_cases.cart_ports import FoundCart, Owner
from order_service.use_cases.ports import PaymentProvider
from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings


def die_at(point: str) -> None:
    if os.environ.get("DIE_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


class DeadlyProvider:
    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider

    def knows(self, token: str) -> bool:
        return self._provider.knows(token)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        die_at("charge:before")
        answer = await self._provider.charge(key, amount, token)
        die_at("charge:after")
        return answer

    async def lookup(self, key: str) -> Answer:
        die_at("lookup:before")
        answer = await self._provider.lookup(key)
        die_at("lookup:after")
        return answer

    async def refund(self, key: str) -> Settlement:
        die_at("refund:before")
        answer = await self._provider.refund(key)
        die_at("refund:after")
        return answer


async def die_ordered(self: RedisCarts, owner: Owner, found: FoundCart | None = None) -> None:
    die_at("checkout:ordered")


deliver = SqlMailbox.deliver


async def die_delivering(
    self: SqlMailbox, due: Sequence[Due], content: Callable[[Notice, Order], Mapping[str, object]]
) -> None:
    die_at("notices:before")
    await deliver(self, due, content)
    die_at("notices:after")


if __name__ == "__main__":
    SqlMailbox.deliver = die_delivering  # type: ignore[method-assign]
    RedisCarts.forget = die_ordered  # type: ignore[method-assign]
    serve(
        lambda settings: create_order_app(settings, around_provider=DeadlyProvider),
        load_settings(OrderSettings),
    )
