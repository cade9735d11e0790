"""Refunds that wait are woken by tasks. SQL says when each is to be tried, the saga tries it (ADR 0057)."""

from datetime import timedelta
from typing import Final

from pizzeria_chassis.loops import PeriodicTask
from rediscore.tasks import Retry, Tasks

from order_service.domain.order import Order
from order_service.domain.saga import Step
from order_service.use_cases.run_saga import Saga

MOST_WAITING: Final = 1000
IDLE_SECONDS: Final = 60.0
# A clock that is a little ahead must not come too early.
MARGIN: Final = timedelta(milliseconds=50)


class RefundTasks:
    """One task for each moment at which an order's refund is due: when its backoff is over, or when the lease
    of whoever has it in hand runs out. A task that comes late, twice or for nothing finds nothing due.

    Args:
        sweep: seconds after which the saga looks for refunds that nobody was woken for.
    """

    def __init__(self, tasks: Tasks, saga: Saga, *, sweep: float) -> None:
        self._waiting: dict[str, Order] = {}
        self._sender = PeriodicTask("refunds", IDLE_SECONDS, self._send)
        self.components = (self._sender, PeriodicTask("refunds-sweep", sweep, saga.take_up_refunds))

        @tasks.task(name="refund", priority="high", retry=Retry(max_attempts=3))
        async def refund(order_id: str) -> None:
            await saga.take_up_refund(order_id)

        self._task = refund

    def saved(self, order: Order) -> None:
        """Called after each commit that changed an order. Never blocks."""
        if order.step is Step.REFUND and len(self._waiting) < MOST_WAITING:
            self._waiting[order.id] = order
            self._sender.nudge()

    async def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for order in waiting.values():
            if order.due_at is not None:
                task_id = f"refund:{order.id}:{order.version}"
                await self._task.apply_async([order.id], eta=order.due_at + MARGIN, task_id=task_id)
