"""The inbox: which events of others were applied, in the transaction that applied them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from rediscore.streams import DeadLetter
from rediscore.streams.event import CloudEvent, RawEvent
from sqlalchemy import BigInteger, Insert, bindparam, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from pizzeria_chassis import letters
from pizzeria_chassis.database import Database
from pizzeria_chassis.tables import inbox, inbox_forgotten, inbox_position
from pizzeria_chassis.transaction import Transaction

__all__ = ["Inbox", "Status", "Wish", "inbox_states"]

Status = Literal["applied", "ignored", "dead", "dropped"]
PayloadT = TypeVar("PayloadT")
Wish = Literal["letter", "entry"]
"""Why a dead event is handled again: an operator redrives its letter, or sent its entry again in Redis."""
_REVIVED_BY: Final[Mapping[Wish, Sequence[letters.LetterState]]] = {
    "letter": ("redriving",),
    "entry": ("waiting", "redriving"),
}
LOAD_LIMIT: Final = 5000
_NOWHERE: Final = 2**62
"""Beyond every position: of an event that its source has not placed."""


def _note_new() -> Insert:
    # No ON CONFLICT: whoever loses a race hits the primary key, and `transact` runs it again.
    names = ["stream", "event_id", "position", "status", "at"]
    values = [bindparam(f"new_{name}", type_=inbox.c[name].type) for name in names]
    forgotten = exists().where(
        inbox_forgotten.c.stream == bindparam("new_stream"),
        inbox_forgotten.c.position >= bindparam("place", type_=BigInteger),
    )
    known = exists().where(
        inbox.c.stream == bindparam("new_stream"), inbox.c.event_id == bindparam("new_event_id")
    )
    return inbox.insert().from_select(names, select(*values).where(~known, ~forgotten))


# Built once: building a statement costs more than running it.
_NOTE_NEW: Final = _note_new()


class Inbox:
    """What this service did with the events of one stream.

    An event is applied at most once, whatever delivers it how often: its row is written in the transaction of
    its effect, and a second row with its id is impossible. What is so old that its row was forgotten is known
    by its position. An event that is dead is handled again only when an operator redrives it.
    """

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream

    async def apply(
        self,
        event: CloudEvent[PayloadT],
        handler: Callable[[Transaction, CloudEvent[PayloadT]], Awaitable[None]],
        *,
        wish: Wish | None = None,
    ) -> bool:
        """Run ``handler`` and note the event, in one transaction; False when that is not to be done.

        That is: it was applied before, or it is dead and nobody wishes it handled again. Events that the
        handler appends are caused by this one.
        """

        async def work(tx: Transaction) -> bool:
            if not await self._take(tx, event, wish):
                return False
            await handler(tx, event)
            return True

        return await self._database.transact(work, cause=event)

    async def _take(self, tx: Transaction, event: CloudEvent[Any], wish: Wish | None) -> bool:
        """Note that an event is handled in this transaction, unless it is not to be."""
        if wish is not None and await self._revive(tx, event.id, wish):
            return True
        # What was sent again may come before it was noted as dead; a letter that is redriven was noted.
        return wish != "letter" and await self._note(tx, event)

    async def _note(self, tx: Transaction, event: CloudEvent[Any]) -> bool:
        # First the row, then the effect: a second delivery at the same moment waits here for the first.
        row = {f"new_{name}": value for name, value in self._row(tx, event, "applied").items()}
        added = await tx.connection.execute(_NOTE_NEW, {**row, "place": event.position or _NOWHERE})
        return bool(added.rowcount)

    async def _revive(self, tx: Transaction, event_id: str, wish: Wish) -> bool:
        # The position stays as the feed confirmed it: a redriven event may be one that somebody forged.
        if not await letters.redriven(tx, self._stream, event_id, states=_REVIVED_BY[wish]):
            return False
        revived = await tx.connection.execute(
            update(inbox)
            .where(inbox.c.stream == self._stream, inbox.c.event_id == event_id, inbox.c.status == "dead")
            .values(status="applied", at=tx.now)
        )
        return bool(revived.rowcount)

    async def apply_batch(
        self,
        events: Sequence[RawEvent],
        handler: Callable[[Transaction, Sequence[RawEvent]], Awaitable[None]],
        *,
        wishes: Mapping[str, Wish] = MappingProxyType({}),
    ) -> int:
        """Run ``handler`` on those events that are to be handled, in one transaction; returns how many."""

        async def work(tx: Transaction) -> int:
            known = await self.statuses(tx.connection, [event.id for event in events])
            forgotten = await self._forgotten(tx)
            new: dict[str, RawEvent] = {}
            for event in events:
                wish = wishes.get(event.id)
                if (wish is not None and event.id not in new and await self._revive(tx, event.id, wish)) or (
                    wish != "letter" and event.id not in known and (event.position or _NOWHERE) > forgotten
                ):
                    new[event.id] = event
            if not new:
                return 0
            if rows := [self._row(tx, event, "applied") for event in new.values() if event.id not in known]:
                await tx.connection.execute(inbox.insert(), rows)
            await handler(tx, list(new.values()))
            return len(new)

        return await self._database.transact(work)

    async def _forgotten(self, tx: Transaction) -> int:
        query = select(inbox_forgotten.c.position).where(inbox_forgotten.c.stream == self._stream)
        return (await tx.connection.execute(query)).scalar() or 0

    async def bury(self, letter: DeadLetter) -> None:
        """Note that this service gave up on an event, and why. Safe to repeat; what was applied stays so.

        Without its position: that is trusted only when the feed confirms it (``confirm``).
        """

        async def work(tx: Transaction) -> None:
            event = letter.event
            if event is not None and letters.is_plain_id(event.id):
                row = {**self._row(tx, event, "dead"), "position": None}
                await tx.connection.execute(self._insert_new().values(row))
                if (await self.statuses(tx.connection, [event.id])).get(event.id) != "dead":
                    return
            await letters.bury(tx, self._insert, self._stream, letter)

        await self._database.transact(work)

    async def confirm(self, positions: Mapping[str, int]) -> None:
        """Note the positions that the feed gives for events that are in the inbox without one."""
        if not positions:
            return
        rows = [{"event": event_id, "place": position} for event_id, position in positions.items()]

        async def work(tx: Transaction) -> None:
            await tx.connection.execute(
                update(inbox)
                .where(
                    inbox.c.stream == self._stream,
                    inbox.c.event_id == bindparam("event"),
                    inbox.c.position.is_(None),
                )
                .values(position=bindparam("place")),
                rows,
            )

        await self._database.transact(work)

    async def save_position(self, position: int, skipped: Mapping[int, str]) -> None:
        """Move the noted position forward, never back, and note events beyond it that nobody handles."""

        async def work(tx: Transaction) -> None:
            if skipped:
                await tx.connection.execute(
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
            moved = await tx.connection.execute(
                update(inbox_position)
                .where(inbox_position.c.stream == self._stream)
                .values(
                    position=_greater(inbox_position.c.position, position, self._database.engines.flavour)
                )
            )
            if not moved.rowcount:
                await tx.connection.execute(
                    self._insert(inbox_position)
                    .values(stream=self._stream, position=position)
                    .on_conflict_do_nothing()
                )

        await self._database.transact(work)

    async def load(self) -> tuple[int, Sequence[int]]:
        """Return the noted position, and the positions beyond it that are done."""
        async with self._database.read() as connection:
            query = select(inbox_position.c.position).where(inbox_position.c.stream == self._stream)
            position = (await connection.execute(query)).scalar() or 0
            beyond = await connection.execute(
                select(inbox.c.position)
                .where(inbox.c.stream == self._stream, inbox.c.position > position)
                .order_by(inbox.c.position)
                .limit(LOAD_LIMIT)
            )
            return position, [place for (place,) in beyond.all()]

    async def known(self, event_ids: Sequence[str]) -> Mapping[str, Status]:
        async with self._database.read() as connection:
            return await self.statuses(connection, event_ids)

    async def statuses(self, connection: AsyncConnection, event_ids: Sequence[str]) -> Mapping[str, Status]:
        found = await connection.execute(
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


async def inbox_states(connection: AsyncConnection) -> dict[str, dict[str, int]]:
    """Return ``{stream: {"position", "dead"}}`` of all streams that this service reads."""
    positions = await connection.execute(select(inbox_position.c.stream, inbox_position.c.position))
    dead = await letters.count_waiting(connection)
    states = {stream: {"position": position, "dead": 0} for stream, position in positions.all()}
    for stream, count in dead.items():
        states.setdefault(stream, {"position": 0, "dead": 0})["dead"] = count
    return states
