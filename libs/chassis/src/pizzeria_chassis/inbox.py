"""The inbox: which events of others were applied, in the transaction that applied them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from rediscore.streams.event import CloudEvent, RawEvent
from sqlalchemy import Insert, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from pizzeria_chassis.database import Database
from pizzeria_chassis.tables import inbox, inbox_position
from pizzeria_chassis.transaction import Transaction

__all__ = ["Inbox", "Status", "inbox_states"]

Status = Literal["applied", "ignored", "dead"]
PayloadT = TypeVar("PayloadT")
LOAD_LIMIT: Final = 5000


class Inbox:
    """What this service did with the events of one stream.

    An event is applied at most once, whatever delivers it how often: its row is written in the transaction of
    its effect, and a second row with its id is impossible.
    """

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream

    async def apply(
        self,
        event: CloudEvent[PayloadT],
        handler: Callable[[Transaction, CloudEvent[PayloadT]], Awaitable[None]],
    ) -> bool:
        """Run ``handler`` and note the event, in one transaction; False when it was applied before.

        An event that died before is tried again. Events that the handler appends are caused by this one.
        """

        async def work(tx: Transaction) -> bool:
            if not await self._note(tx, event):
                return False
            await handler(tx, event)
            return True

        return await self._database.transact(work, cause=event)

    async def _note(self, tx: Transaction, event: CloudEvent[Any]) -> bool:
        # First the row, then the effect: a second delivery at the same moment waits here for the first.
        added = await tx.session.execute(self._insert_new().values(self._row(tx, event, "applied")))
        if added.rowcount:  # type: ignore[attr-defined]
            return True
        revived = await tx.session.execute(
            update(inbox)
            .where(inbox.c.stream == self._stream, inbox.c.event_id == event.id, inbox.c.status == "dead")
            .values(status="applied", position=func.coalesce(inbox.c.position, event.position), at=tx.now)
        )
        return bool(revived.rowcount)  # type: ignore[attr-defined]

    async def apply_batch(
        self,
        events: Sequence[RawEvent],
        handler: Callable[[Transaction, Sequence[RawEvent]], Awaitable[None]],
    ) -> int:
        """Run ``handler`` on those events that were not applied before, all in one transaction."""

        async def work(tx: Transaction) -> int:
            known = await self.statuses(tx.session, [event.id for event in events])
            new = list({event.id: event for event in events if known.get(event.id) != "applied"}.values())
            if not new:
                return 0
            if rows := [self._row(tx, event, "applied") for event in new if event.id not in known]:
                await tx.session.execute(inbox.insert(), rows)
            if revived := [event.id for event in new if event.id in known]:
                await tx.session.execute(
                    update(inbox)
                    .where(inbox.c.stream == self._stream, inbox.c.event_id.in_(revived))
                    .values(status="applied", at=tx.now)
                )
            await handler(tx, new)
            return len(new)

        return await self._database.transact(work)

    async def bury(self, event: RawEvent) -> None:
        """Note that this service gave up on an event.

        Without its position: that is trusted only when the feed confirms it (``confirm``).
        """

        async def work(tx: Transaction) -> None:
            row = {**self._row(tx, event, "dead"), "position": None}
            await tx.session.execute(self._insert_new().values(row))

        await self._database.transact(work)

    async def confirm(self, positions: Mapping[str, int]) -> None:
        """Note the positions that the feed gives for events that are in the inbox without one."""
        if not positions:
            return
        rows = [{"event": event_id, "place": position} for event_id, position in positions.items()]

        async def work(tx: Transaction) -> None:
            await tx.session.execute(
                update(inbox)
                .where(
                    inbox.c.stream == self._stream,
                    inbox.c.event_id == bindparam("event"),
                    inbox.c.position.is_(None),
                )
                .values(position=bindparam("place"))
                .execution_options(synchronize_session=False),
                rows,
            )

        await self._database.transact(work)

    async def save_position(self, position: int, skipped: Mapping[int, str]) -> None:
        """Move the noted position forward, never back, and note events beyond it that nobody handles."""

        async def work(tx: Transaction) -> None:
            if skipped:
                await tx.session.execute(
                    self._insert_new(),
                    [
                        {
                            "stream": self._stream,
                            "event_id": event_id,
                            "position": place,
                            "status": "ignored",
                            "at": tx.now,
                        }
                        for place, event_id in skipped.items()
                    ],
                )
            moved = await tx.session.execute(
                update(inbox_position)
                .where(inbox_position.c.stream == self._stream)
                .values(
                    position=_greater(inbox_position.c.position, position, self._database.engines.flavour)
                )
            )
            if not moved.rowcount:  # type: ignore[attr-defined]
                await tx.session.execute(
                    self._insert(inbox_position)
                    .values(stream=self._stream, position=position)
                    .on_conflict_do_nothing()
                )

        await self._database.transact(work)

    async def load(self) -> tuple[int, Sequence[int]]:
        """Return the noted position, and the positions beyond it that are done."""
        async with self._database.read() as session:
            query = select(inbox_position.c.position).where(inbox_position.c.stream == self._stream)
            position = (await session.execute(query)).scalar() or 0
            beyond = await session.execute(
                select(inbox.c.position)
                .where(inbox.c.stream == self._stream, inbox.c.position > position)
                .order_by(inbox.c.position)
                .limit(LOAD_LIMIT)
            )
            return position, [place for (place,) in beyond.all()]

    async def known(self, event_ids: Sequence[str]) -> Mapping[str, Status]:
        async with self._database.read() as session:
            return await self.statuses(session, event_ids)

    async def statuses(self, session: AsyncSession, event_ids: Sequence[str]) -> Mapping[str, Status]:
        found = await session.execute(
            select(inbox.c.event_id, inbox.c.status).where(
                inbox.c.stream == self._stream, inbox.c.event_id.in_(event_ids)
            )
        )
        return {row.event_id: row.status for row in found}

    def _row(self, tx: Transaction, event: CloudEvent[Any], status: Status) -> dict[str, object]:
        return {
            "stream": self._stream,
            "event_id": event.id,
            "position": event.position,
            "status": status,
            "at": tx.now,
        }

    def _insert(self, table: Any) -> Any:
        return (postgresql if self._database.engines.flavour == "postgresql" else sqlite).insert(table)

    def _insert_new(self) -> Insert:
        insert: Insert = self._insert(inbox).on_conflict_do_nothing(index_elements=["stream", "event_id"])
        return insert


def _greater(column: Any, value: int, flavour: str) -> Any:
    # The same function under two names.
    return (func.greatest if flavour == "postgresql" else func.max)(column, value)


async def inbox_states(session: AsyncSession) -> dict[str, dict[str, int]]:
    """Return ``{stream: {"position", "dead"}}`` of all streams that this service reads."""
    positions = await session.execute(select(inbox_position.c.stream, inbox_position.c.position))
    dead = await session.execute(
        select(inbox.c.stream, func.count()).where(inbox.c.status == "dead").group_by(inbox.c.stream)
    )
    states = {stream: {"position": position, "dead": 0} for stream, position in positions.all()}
    for stream, count in dead.all():
        states.setdefault(stream, {"position": 0, "dead": 0})["dead"] = count
    return states
