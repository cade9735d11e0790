"""Drives every order's saga from what SQL says is due, so that any replica, or a restart, goes on.

Whoever writes a step that cannot wait holds it (`Order.in_hand`) and does it at once; a step whose
holder died is due for all when its lease has run out. Doing a step twice is harmless: the
provider knows the order's id as its key, and an answer that the table of the saga does not list for
the order's present step is dropped (ADR 0050).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from opentelemetry.trace import SpanKind
from pizzeria_chassis.health import Check
from pizzeria_chassis.telemetry import continue_trace
from rediscore.clock import Clock

from order_service.domain import steps
from order_service.domain.errors import ProviderNotAsked, ProviderUnavailable
from order_service.domain.news import Moment, News, Policy
from order_service.domain.order import Order
from order_service.domain.saga import Answer, Step
from order_service.use_cases.ports import Kitchen, KitchenLoad, Orders, PaymentProvider

_log = structlog.get_logger(__name__)

BATCH = 50


class Saga:
    """Runs the steps of sagas, at most `concurrency` at a time, each as a task owned here."""

    def __init__(
        self,
        *,
        orders: Orders,
        provider: PaymentProvider,
        kitchen: Kitchen,
        load: KitchenLoad,
        clock: Clock,
        policy: Policy,
        concurrency: int = 16,
        grace: float = 5.0,
    ) -> None:
        self._orders = orders
        self._provider = provider
        self._kitchen = kitchen
        self._load = load
        self._clock = clock
        self._policy = policy
        self._slots = asyncio.Semaphore(concurrency)
        self._grace = grace
        self._held: dict[str, Order] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def take(self, order: Order) -> None:
        """Do the step that this process has just taken up; called after the commit. Never blocks."""
        if self._stopping:
            return  # its lease runs out, somebody else does it
        self._held[order.id] = order
        if order.id not in self._running:
            self._running[order.id] = asyncio.create_task(self._run(order.id), name=f"saga:{order.id}")

    async def settled(self, order_id: str) -> None:
        """Return when this process has nothing in hand for the order."""
        task = self._running.get(order_id)
        if task is not None:
            await asyncio.wait({task})

    def moment(self, order: Order) -> Moment:
        """Now, as far as this order is concerned."""
        return Moment(self._clock.now(), self._policy, self._load.lead(order))

    async def take_up_what_is_due(self) -> bool:
        """Take up the steps that are held by nobody, except refunds. True when there may be more."""
        return await self._begin_due([Step.CHARGE, Step.LOOKUP, Step.AWAIT_SCHEDULE])

    async def take_up_refunds(self) -> bool:
        """Take up the refunds that are held by nobody. Tasks do that one by one, in time (ADR 0057); this is
        for those that got lost. True when there may be more."""
        return await self._begin_due([Step.REFUND])

    async def take_up_refund(self, order_id: str) -> None:
        """Try this order's refund if it is due and held by nobody; return when it has been tried."""
        await self._begin([order_id], [Step.REFUND])
        await self.settled(order_id)

    async def check_deadlines(self) -> bool:
        """Call off what the kitchen did not answer in time. True when there may be more."""
        return await self._begin_due([Step.AWAIT_KITCHEN])

    async def _begin_due(self, wanted: Sequence[Step]) -> bool:
        due = await self._orders.due(self._clock.now(), wanted, BATCH)
        await self._begin(due, wanted)
        return len(due) == BATCH

    async def _begin(self, due: Sequence[str], wanted: Sequence[Step]) -> None:
        heard_out = bool(due) and Step.AWAIT_KITCHEN in wanted and await self._kitchen.heard_out()

        def begin(order: Order) -> None:
            if order.step in wanted:
                steps.begin(order, self.moment(order), heard_out=heard_out)

        for order_id in due:
            # The step taken up comes back through `take` after the commit.
            await self._orders.change(order_id, begin)

    async def start(self) -> None:
        self._stopping = False

    async def stop(self) -> None:
        """Let running steps end within the grace time, then cancel them; others take over later."""
        self._stopping = True
        self._held.clear()
        running = set(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def _run(self, order_id: str) -> None:
        try:
            async with self._slots:
                while (order := self._held.pop(order_id, None)) is not None:
                    with continue_trace(
                        order.traceparent, f"saga {order.step}", kind=SpanKind.INTERNAL, order_id=order_id
                    ):
                        news = await self._ask(order)
                        await self._orders.change(order_id, self._hear(news))
        except Exception as error:  # noqa: BLE001  task boundary: the lease runs out and the step is due again
            _log.warning("saga_step_failed", order_id=order_id, exc_info=error)
        finally:
            del self._running[order_id]

    async def _ask(self, order: Order) -> News:
        """What the provider says; whatever has become of the order meanwhile, the table decides."""
        try:
            if order.step is Step.REFUND:
                return News(Answer.REFUNDED, settlement=await self._provider.refund(order.id))
            if order.step is Step.LOOKUP:
                return News(await self._provider.lookup(order.id))
            return News(await self._provider.charge(order.id, order.total, order.payment.token))
        except ProviderUnavailable as error:
            _log.warning("payment_provider_silent", step=order.step)
            return News(Answer.SILENCE, error=str(error))
        except ProviderNotAsked as error:
            _log.info("payment_provider_not_asked", step=order.step)
            return News(Answer.NOT_ASKED, error=str(error), wait=error.wait)

    def _hear(self, news: News) -> Callable[[Order], None]:
        def change(order: Order) -> None:
            steps.hear(order, news, self.moment(order))

        return change
