"""The order service, except that it kills itself with SIGKILL at a chosen point.

DIE_AT:
    call:<step>:before, call:<step>:after       around the call that a step makes to the payment provider
    commit:<step>:<answer>:before, …:after      around the commit of what that answer did to the order
    commit:placed:before, commit:placed:after   around the commit of a new order
    checkout:ordered                            between an order and the emptying of its cart
    notices:before, notices:after               around the transaction that writes letters
    empty                                       never
SPOIL: `lose:<step>`, `mute:<step>` or `hold:<step>`: its first call never reaches the provider, its reply
    never comes back, or it takes long.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from order_service import bootstrap
from order_service.adapters.redis_carts import RedisCarts
from order_service.adapters.sql_mailbox import SqlMailbox
from order_service.adapters.sql_orders import SqlOrders
from order_service.domain import steps
from order_service.domain.errors import ProviderUnavailable
from order_service.domain.news import Moment, News, Settlement
from order_service.domain.notices import Notice
from order_service.domain.order import Order
from order_service.domain.records import Due
from order_service.domain.saga import Answer, Step
from order_service.settings import OrderSettings
from order_service.use_cases.cart_ports import FoundCart, Owner
from order_service.use_cases.ports import PaymentProvider
from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderPlaced
from sqlalchemy import event

T = TypeVar("T")

HOLD_SECONDS = 5

_hear = steps.hear
_row = ""
_spoilt: set[Step] = set()


def die_at(point: str) -> None:
    if os.environ.get("DIE_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


def hear(order: Order, news: News, at: Moment) -> bool:
    """As `steps.hear`, noting which row of the table was taken."""
    global _row  # noqa: PLW0603  one order is changed at a time here
    row = f"{order.step}:{news.answer}"
    mattered = _hear(order, news, at)
    if mattered:
        _row = row
    return mattered


class DeadlyOrders(SqlOrders):
    async def _publish(self, tx: Transaction, order: Order) -> None:
        await super()._publish(tx, order)
        if any(isinstance(said, OrderPlaced) for said in order.happened):
            _die_around_commit(tx, "placed")

    async def change_in(self, tx: Transaction, order_id: str, change: Callable[[Order], None]) -> Order:
        rows: list[str] = []

        def noted(order: Order) -> None:
            global _row  # noqa: PLW0603
            _row = ""
            change(order)
            rows.append(_row)

        order = await super().change_in(tx, order_id, noted)
        if rows[-1]:
            _die_around_commit(tx, rows[-1])
        return order


def _die_around_commit(tx: Transaction, what: str) -> None:
    async def after() -> None:
        die_at(f"commit:{what}:after")

    event.listen(tx.connection.sync_connection, "commit", lambda _: die_at(f"commit:{what}:before"))
    tx._hooks.insert(0, after)


class DeadlyProvider:
    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider

    def knows(self, token: str) -> bool:
        return self._provider.knows(token)

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        return await self._call(Step.CHARGE, lambda: self._provider.charge(key, amount, token))

    async def lookup(self, key: str) -> Answer:
        return await self._call(Step.LOOKUP, lambda: self._provider.lookup(key))

    async def refund(self, key: str) -> Settlement:
        return await self._call(Step.REFUND, lambda: self._provider.refund(key))

    async def _call(self, step: Step, call: Callable[[], Awaitable[T]]) -> T:
        die_at(f"call:{step}:before")
        how = "" if step in _spoilt else os.environ.get("SPOIL", "").removesuffix(f":{step}")
        _spoilt.add(step)
        if how == "hold":
            await asyncio.sleep(HOLD_SECONDS)
        if how == "lose":
            raise ProviderUnavailable("The call was lost on its way.")
        answer = await call()
        if how == "mute":
            raise ProviderUnavailable("The reply was lost on its way.")
        die_at(f"call:{step}:after")
        return answer


_forget = RedisCarts.forget


async def die_ordered(self: RedisCarts, owner: Owner, found: FoundCart | None = None) -> None:
    die_at("checkout:ordered")
    await _forget(self, owner, found)


deliver = SqlMailbox.deliver


async def die_delivering(
    self: SqlMailbox, due: Sequence[Due], content: Callable[[Notice, Order], Mapping[str, object]]
) -> None:
    die_at("notices:before")
    await deliver(self, due, content)
    die_at("notices:after")


def main() -> None:
    steps.hear = hear
    vars(bootstrap)["SqlOrders"] = DeadlyOrders
    SqlMailbox.deliver = die_delivering  # type: ignore[method-assign]
    RedisCarts.forget = die_ordered  # type: ignore[method-assign]
    serve(
        lambda settings: bootstrap.create_order_app(settings, around_provider=DeadlyProvider),
        load_settings(OrderSettings),
    )


if __name__ == "__main__":
    main()
