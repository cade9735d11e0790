"""Brings the queue in Redis up to the tickets in SQL, whatever Redis has lost."""

from dataclasses import dataclass, field
from functools import partial

import structlog
from rediscore.clock import Clock

from kitchen_service.domain.ticket import Ticket
from kitchen_service.use_cases.ports import Books, Dispatch, Store

PAGE = 500

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sweep:
    """One round: returns expired leases to the queue, and offers tickets that Redis does not know.

    A ticket is offered when SQL says that it may be claimed: it is queued, or the lease of its station
    has run out. A round looks at one page of them, the next round at the next page.

    Returns: whether something was missing and there are more pages, so the next round should come at once.
    Raises: DispatchAway; the next round goes on where this one stopped.
    """

    clock: Clock
    store: Store
    dispatch: Dispatch
    _after: str = field(default="", init=False)

    async def __call__(self) -> bool:
        await self.dispatch.recover()
        page = await self.store.look(partial(self._page, self._after))
        unknown = await self.dispatch.unknown(page)
        if unknown:
            await self.dispatch.offer([t for t in page if t.id in unknown])
            _log.info("tickets_offered_again", count=len(unknown))
        self._after = page[-1].id if len(page) == PAGE else ""
        return bool(unknown and self._after)

    async def _page(self, after: str, books: Books) -> list[Ticket]:
        return await books.tickets.claimable(self.clock.now(), after, PAGE)
