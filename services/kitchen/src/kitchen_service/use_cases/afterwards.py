"""What follows a commit in Redis. It may fail: the facts are safe, and the sweep brings Redis up to them."""

from collections.abc import Awaitable, Callable

import structlog

from kitchen_service.domain.errors import DispatchAway
from kitchen_service.use_cases.ports import Books, Hints

_log = structlog.get_logger(__name__)


def follow_up(books: Books, hints: Hints, order_id: str, *steps: Callable[[], Awaitable[None]]) -> None:
    """After the commit run the `steps` on the queue, then tell the live pages of the order."""

    async def hook() -> None:
        try:
            for step in steps:
                await step()
        except DispatchAway:
            _log.warning("dispatch_away_after_commit", order_id=order_id)
        await hints.changed(order_id)

    books.after_commit(hook)
