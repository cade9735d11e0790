"""What operators decide about dead letters, and the log of it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pizzeria_contracts.events import payload_model
from pizzeria_contracts.streams import STREAM_TYPES
from pydantic import ValidationError
from rediscore.streams import Reason
from rediscore.streams.event import RawEvent
from sqlalchemy import insert, select

from pizzeria_chassis import letters
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import EditRefused, LetterDecided, NoSuchLetter
from pizzeria_chassis.letter_copies import LetterCopies
from pizzeria_chassis.letters import Letter, LetterState
from pizzeria_chassis.tables import operator_log
from pizzeria_chassis.transaction import Transaction

__all__ = ["Deed", "Operators"]

FIXED: Final = ("id", "source", "subject", "sequence", "position")
"""What an edit may not change: by these an event is known and has its place."""


class Deed(NamedTuple):
    """What somebody did, when, to what."""

    id: int
    at: datetime
    who: str
    action: str
    target: str
    detail: str


class Operators:
    """The dead letters of a service, from the point of view of those who run it.

    Each decision is one transaction with its line in the log. A redrive is a wish in the database: the active
    reader of the stream fulfils it, now or after a restart, once.

    Args:
        copies: see ``EventConsumer``.
        wanted: called when something is to be redriven, so that a reader in this process need not wait.
    """

    def __init__(
        self,
        database: Database,
        *,
        copies: LetterCopies | None = None,
        wanted: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._copies = copies
        self._wanted = wanted

    async def letters(
        self,
        *,
        stream: str | None,
        state: LetterState | None,
        reason: Reason | None = None,
        after: int,
        limit: int,
    ) -> Sequence[Letter]:
        async with self._database.read() as connection:
            return await letters.letters(
                connection, stream=stream, state=state, reason=reason, after=after, limit=limit
            )

    async def letter(self, letter_id: int) -> Letter:
        """Raises NoSuchLetter."""
        async with self._database.read() as connection:
            found = await letters.find(connection, letter_id)
        if found is None:
            raise NoSuchLetter(f"There is no dead letter {letter_id}; it may be too long ago.")
        return found

    async def edit(self, letter_id: int, event: RawEvent, *, who: str) -> Letter:
        """Have ``event`` handled in place of what died. It must be one that this service could handle.

        Raises NoSuchLetter, LetterDecided, EditRefused.
        """
        letter = await self.letter(letter_id)
        self._check_edit(letter, event)

        async def work(tx: Transaction) -> None:
            if not await letters.edit(tx, letter_id, event.to_json()):
                raise _decided(letter)
            await _log(tx, who, "edit", letter, "")

        await self._database.transact(work)
        return await self.letter(letter_id)

    def _check_edit(self, letter: Letter, event: RawEvent) -> None:
        if letter.state != "waiting":
            raise _decided(letter)
        if (dead := letter.event()) is None:
            raise LetterDecided("It holds no event; if its source told one, it came from the feed.")
        for name in FIXED:
            if getattr(dead, name) != getattr(event, name):
                raise EditRefused(f"/{name}", "This is by what an event is known; change its data or type.")
        if event.type not in STREAM_TYPES[letter.stream]:
            raise EditRefused("/type", f"{event.type} does not travel on {letter.stream}.")
        try:
            payload_model(event.type).read(event.data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            raise EditRefused("".join(f"/{part}" for part in ("data", *first["loc"])), first["msg"]) from None

    async def redrive(self, letter_id: int, *, who: str) -> Letter:
        """Have a waiting letter's event handled again, within seconds. Raises NoSuchLetter, LetterDecided."""
        letter = await self.letter(letter_id)
        if letter.state != "waiting":
            raise _decided(letter)
        if not letter.is_event:
            raise LetterDecided("It holds no event; if its source told one, it came from the feed.")

        async def work(tx: Transaction) -> None:
            await letters.begin_redrive(tx, [letter_id], per_second=1)
            await _log(tx, who, "redrive", letter, "edited" if letter.edited else "")

        await self._database.transact(work)
        self._wanted()
        return await self.letter(letter_id)

    async def redrive_all(self, stream: str | None, *, per_second: float, who: str) -> int:
        """Have all waiting letters handled again, in the order of their deaths; returns how many."""

        async def work(tx: Transaction) -> int:
            waiting = await letters.waiting_ids(tx.connection, stream)
            await letters.begin_redrive(tx, waiting, per_second=per_second)
            if waiting:
                detail = f"{len(waiting)} letters, {per_second:g} per second"
                await _note(tx, who, "redrive-all", stream or "all streams", detail)
            return len(waiting)

        count = await self._database.transact(work)
        self._wanted()
        return count

    async def drop(self, letter_id: int, *, reason: str, who: str) -> Letter:
        """Decide that an event has no effect here; it is never handled again. Raises as ``redrive``."""
        letter = await self.letter(letter_id)

        async def work(tx: Transaction) -> None:
            if not await letters.drop(tx, letter):
                raise _decided(letter)
            await _log(tx, who, "drop", letter, reason)

        await self._database.transact(work)
        if self._copies is not None:
            await self._copies.remove(letter, by=who, why=reason)
        return await self.letter(letter_id)

    async def note(self, who: str, action: str, target: str, detail: str = "") -> None:
        """Add a line to the log."""

        async def work(tx: Transaction) -> None:
            await _note(tx, who, action, target, detail)

        await self._database.transact(work)

    async def log(self, *, before: int | None, limit: int) -> Sequence[Deed]:
        """Return what was done, the newest first."""
        query = select(*(operator_log.c[name] for name in Deed._fields)).order_by(operator_log.c.id.desc())
        if before is not None:
            query = query.where(operator_log.c.id < before)
        async with self._database.read() as connection:
            return [Deed(*row) for row in (await connection.execute(query.limit(limit))).all()]


def _decided(letter: Letter) -> LetterDecided:
    return LetterDecided(f"Letter {letter.id} is {letter.state}; only a waiting one can be decided upon.")


async def _log(tx: Transaction, who: str, action: str, letter: Letter, detail: str) -> None:
    await _note(tx, who, action, f"{letter.stream} {letter.key}", detail)


async def _note(tx: Transaction, who: str, action: str, target: str, detail: str) -> None:
    row = {"at": tx.now, "who": who, "action": action, "target": target[:300], "detail": detail[:500]}
    await tx.connection.execute(insert(operator_log).values(row))
