"""Dead letters in SQL: what this service gave up on, why, and what became of it (ADR 0038)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from rediscore.streams import DeadLetter, Reason
from rediscore.streams.event import RawEvent
from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pizzeria_chassis.tables import dead_letter, inbox
from pizzeria_chassis.transaction import Transaction

__all__ = [
    "Letter",
    "LetterState",
    "begin_redrive",
    "bury",
    "count_waiting",
    "drop",
    "due",
    "edit",
    "find",
    "is_plain_id",
    "letters",
    "redriven",
    "waiting_ids",
]

LetterState = Literal["waiting", "redriving", "redriven", "dropped"]
LONGEST_DAMAGE: Final = 16 * 1024
LONGEST_ID: Final = 100


class Letter(NamedTuple):
    """A row of ``dead_letter``.

    ``waiting`` for a decision; ``redriving``: to be handled again, not before ``due_at``; ``redriven``: its
    effect is in the database, since ``due_at``; ``dropped``: an operator decided that it has none.
    """

    id: int
    stream: str
    key: str
    subject: str | None
    type: str | None
    reason: str
    error: str
    traceback: str
    attempts: int
    redrives: int
    entry: str | None
    edited: str | None
    copy: str | None
    state: LetterState
    died_at: datetime
    due_at: datetime | None
    position: int | None
    """As the feed confirmed it."""

    @property
    def is_event(self) -> bool:
        """Whether it holds an event; else there is nothing to handle again, and the feed has the event."""
        return self.reason != Reason.MALFORMED

    def event(self) -> RawEvent | None:
        """What is to be handled: as edited, else as it came; None when only the feed has it."""
        body = self.edited or self.entry
        return RawEvent.model_validate_json(body) if body is not None and self.is_event else None


def is_plain_id(event_id: str) -> bool:
    """Return whether the inbox can hold this id; whoever writes to Redis can make up any."""
    return len(event_id) <= LONGEST_ID and event_id.isprintable()


async def bury(tx: Transaction, insert: Any, stream: str, letter: DeadLetter) -> None:
    """Note a dead letter; safe to repeat. One that was decided upon keeps its decision.

    Args:
        insert: of the database's flavour, with ``on_conflict_do_update``.
    """
    event = letter.event if letter.event is not None and is_plain_id(letter.event.id) else None
    told = {
        "reason": (letter.reason if event is not None else Reason.MALFORMED).value,
        "error": _text(letter.error, 500),
        "traceback": _text(letter.traceback, 4000),
        "attempts": letter.attempts,
        "copy": f"{letter.stream}/{letter.id}" if letter.id else None,
        "died_at": tx.now,
    }
    row = {
        "stream": stream,
        "key": event.id if event is not None else f"entry:{letter.stream}:{letter.original_id}"[:200],
        "subject": _text(event.subject, 100) if event is not None else None,
        "type": _text(event.type, 100) if event is not None else None,
        "entry": event.to_json() if event else _text(letter.entry.decode(errors="replace"), LONGEST_DAMAGE),
        "state": "waiting",
        "due_at": None,
    }
    again = {**told, "state": "waiting", "due_at": None}
    await tx.connection.execute(
        insert(dead_letter)
        .values(**row, **told)
        .on_conflict_do_update(
            index_elements=["stream", "key"], set_=again, where=dead_letter.c.state != "dropped"
        )
    )


def _text(value: str, most: int) -> str:
    return value.replace("\x00", "�")[:most]


async def redriven(tx: Transaction, stream: str, event_id: str, *, states: Sequence[LetterState]) -> bool:
    """Note that a letter in one of these states is being handled in this transaction; False if in none."""
    done = await tx.connection.execute(
        update(dead_letter)
        .where(dead_letter.c.stream == stream, dead_letter.c.key == event_id, dead_letter.c.state.in_(states))
        .values(state="redriven", due_at=tx.now)
    )
    return bool(done.rowcount)


def _select() -> Select[Any]:
    where = (inbox.c.stream == dead_letter.c.stream) & (inbox.c.event_id == dead_letter.c.key)
    columns = [dead_letter.c[name] for name in Letter._fields if name != "position"]
    return select(*columns, inbox.c.position).select_from(dead_letter.outerjoin(inbox, where))


async def letters(
    connection: AsyncConnection,
    *,
    stream: str | None = None,
    state: LetterState | None = None,
    reason: Reason | None = None,
    after: int = 0,
    limit: int = 100,
) -> Sequence[Letter]:
    """Return letters in the order in which they died first."""
    query = _select().where(dead_letter.c.id > after).order_by(dead_letter.c.id).limit(limit)
    if stream is not None:
        query = query.where(dead_letter.c.stream == stream)
    if state is not None:
        query = query.where(dead_letter.c.state == state)
    if reason is not None:
        query = query.where(dead_letter.c.reason == reason.value)
    return [Letter(*row) for row in (await connection.execute(query)).all()]


async def find(connection: AsyncConnection, letter_id: int) -> Letter | None:
    row = (await connection.execute(_select().where(dead_letter.c.id == letter_id))).one_or_none()
    return None if row is None else Letter(*row)


async def due(connection: AsyncConnection, stream: str, *, now: datetime, limit: int) -> Sequence[Letter]:
    """Return letters of a stream that are to be handled again now, the longest due first."""
    query = (
        _select()
        .where(
            dead_letter.c.stream == stream, dead_letter.c.state == "redriving", dead_letter.c.due_at <= now
        )
        .order_by(dead_letter.c.due_at, dead_letter.c.id)
        .limit(limit)
    )
    return [Letter(*row) for row in (await connection.execute(query)).all()]


async def count_waiting(connection: AsyncConnection) -> dict[str, int]:
    """Return how many events of each stream are dead: not decided upon, or not yet handled again."""
    query = (
        select(dead_letter.c.stream, func.count().label("dead"))
        .where(dead_letter.c.state.in_(("waiting", "redriving")), dead_letter.c.reason != Reason.MALFORMED)
        .group_by(dead_letter.c.stream)
    )
    return {row.stream: row.dead for row in await connection.execute(query)}


async def edit(tx: Transaction, letter_id: int, body: str) -> bool:
    """Note what is to be handled in place of a waiting letter's event; False when it does not wait."""
    return await _change(tx, letter_id, ("waiting",), edited=body)


async def begin_redrive(tx: Transaction, letter_ids: Sequence[int], *, per_second: float) -> None:
    """Have waiting letters handled again, in this order, so many a second from now on."""
    if not letter_ids:
        return
    now = tx.now
    await tx.connection.execute(
        update(dead_letter)
        .where(dead_letter.c.id == bindparam("letter"), dead_letter.c.state == "waiting")
        .values(state="redriving", redrives=dead_letter.c.redrives + 1, due_at=bindparam("due")),
        [
            {"letter": letter_id, "due": now + timedelta(seconds=index / per_second)}
            for index, letter_id in enumerate(letter_ids)
        ],
    )


async def waiting_ids(connection: AsyncConnection, stream: str | None) -> Sequence[int]:
    """Return the letters that a redrive of all would take: waiting ones that hold an event."""
    query = (
        select(dead_letter.c.id)
        .where(dead_letter.c.state == "waiting", dead_letter.c.reason != Reason.MALFORMED)
        .order_by(dead_letter.c.id)
    )
    if stream is not None:
        query = query.where(dead_letter.c.stream == stream)
    return list((await connection.execute(query)).scalars())


async def drop(tx: Transaction, letter: Letter) -> bool:
    """Decide that a letter has no effect; also ends a redrive that has not begun. False when it is over."""
    if not await _change(tx, letter.id, ("waiting", "redriving"), state="dropped", due_at=tx.now):
        return False
    await tx.connection.execute(
        update(inbox)
        .where(inbox.c.stream == letter.stream, inbox.c.event_id == letter.key, inbox.c.status == "dead")
        .values(status="dropped")
    )
    return True


async def _change(tx: Transaction, letter_id: int, states: Sequence[LetterState], **values: Any) -> bool:
    changed = await tx.connection.execute(
        update(dead_letter)
        .where(dead_letter.c.id == letter_id, dead_letter.c.state.in_(states))
        .values(**values)
    )
    return bool(changed.rowcount)
