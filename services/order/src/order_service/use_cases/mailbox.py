"""The guest's mailbox: notices and receipts, each once."""

from collections.abc import Sequence
from datetime import timedelta

from rediscore.clock import Clock

from order_service.domain.notices import content
from order_service.domain.records import Due, Letter
from order_service.use_cases.ports import Mailbox


class KeepMailbox:
    def __init__(self, *, mailbox: Mailbox, clock: Clock) -> None:
        self._mailbox = mailbox
        self._clock = clock

    async def deliver(self, due: Sequence[Due]) -> None:
        """Write the letters that are due of these, in one transaction: all or none, each once however often
        this is called."""
        await self._mailbox.deliver(due, content)

    async def letters(self, customer_id: str, after: str | None, limit: int) -> Sequence[Letter]:
        """The guest's letters, newest first, older than the letter `after`."""
        return await self._mailbox.letters(customer_id, after, limit)

    async def overdue(self, patience: timedelta, limit: int) -> list[Due]:
        """Notices that have set out so long ago and not arrived, longest first."""
        return await self._mailbox.overdue(self._clock.now() - patience, limit)

    async def set_out(self, due: Sequence[Due]) -> None:
        """They have set out just now."""
        await self._mailbox.set_out(due, self._clock.now())
