"""HTTP for dead letters: look, edit, handle again, drop; and the log of what operators did."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pizzeria_contracts.problems import ProblemType
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from rediscore.streams import Reason
from rediscore.streams.event import RawEvent

from pizzeria_chassis.errors import EditRefused, LetterDecided, NoSuchLetter
from pizzeria_chassis.letters import Letter, LetterState
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.operators import Operators
from pizzeria_chassis.ops import Manager
from pizzeria_chassis.problems import Problem, not_found

__all__ = ["letters_router"]

MOST_ID = 2**63 - 1
Id = Annotated[int, Path(ge=1, le=MOST_ID)]
Limit = Annotated[int, Query(ge=1, le=500)]
# Who writes why in plain words: no control characters in the log.
Why = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


class DeadLetterView(BaseModel):
    """``state``: waiting, redriving (not before ``due_at``), redriven or dropped (since ``due_at``)."""

    id: int
    stream: str
    event_id: str
    type: str | None
    subject: str | None
    position: int | None
    reason: str
    error: str
    attempts: int
    redrives: int
    edited: bool
    state: LetterState
    died_at: datetime
    due_at: datetime | None


class DeadLetterInFull(DeadLetterView):
    """``event``: what a redrive handles, null when there is none; ``entry``: what came, as text.

    ``traceback`` names places and classes, no values.
    """

    event: RawEvent | None
    entry: str | None
    traceback: str


class DeadLetterPage(BaseModel):
    items: list[DeadLetterView]
    next: str | None


class LetterEdit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event: RawEvent


class RedriveAll(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stream: str | None = None
    per_second: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 50


class Redriving(BaseModel):
    """``letters`` are handled again one by one within ``seconds``; their states tell how far that is."""

    letters: int
    seconds: float


class LetterDrop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Why


class DeedView(BaseModel):
    id: int
    at: datetime
    who: str
    action: str
    target: str
    detail: str


class DeedPage(BaseModel):
    items: list[DeedView]
    next: str | None


def letters_router(operators: Operators) -> APIRouter:
    router = APIRouter(
        prefix="/ops", tags=["operations"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )
    decided = problems(_404="No such letter.", _409="It was decided upon, or holds no event.")

    @router.get("/dead-letters")
    async def list_letters(
        _: Manager,
        stream: Annotated[str | None, Query(max_length=100)] = None,
        state: LetterState | None = None,
        reason: Reason | None = None,
        after: Annotated[int, Query(ge=0, le=MOST_ID)] = 0,
        limit: Limit = 100,
    ) -> DeadLetterPage:
        """Events that this service gave up on, in the order of their deaths."""
        found = await operators.letters(stream=stream, state=state, reason=reason, after=after, limit=limit)
        more = str(found[-1].id) if len(found) == limit else None
        return DeadLetterPage(
            items=[DeadLetterView.model_validate(_seen(letter)) for letter in found], next=more
        )

    @router.get("/dead-letters/{letter_id}", responses=problems(_404="No such letter."))
    async def show_letter(letter_id: Id, _: Manager) -> DeadLetterInFull:
        """One of them, with its event. It holds no personal data: no event does."""
        try:
            return _in_full(await operators.letter(letter_id))
        except NoSuchLetter as error:
            raise not_found(str(error)) from error

    @router.patch("/dead-letters/{letter_id}", responses=decided)
    async def edit_letter(letter_id: Id, edit: LetterEdit, who: Manager) -> DeadLetterInFull:
        """Change the data or type of the event that a redrive handles; nothing happens before that."""
        try:
            return _in_full(await operators.edit(letter_id, edit.event, who=who.id))
        except EditRefused as error:
            errors = [{"pointer": f"/event{error.pointer}", "detail": str(error)}]
            raise Problem(
                ProblemType.INVALID_INPUT, "Invalid input", 422, "It could not be handled.", errors=errors
            ) from error
        except (NoSuchLetter, LetterDecided) as error:
            raise _refusal(error) from error

    @router.post("/dead-letters/redrive", status_code=202)
    async def redrive_all(wish: RedriveAll, who: Manager) -> Redriving:
        """Handle all waiting ones again, so many a second."""
        count = await operators.redrive_all(wish.stream, per_second=wish.per_second, who=who.id)
        return Redriving(letters=count, seconds=max(0, count - 1) / wish.per_second)

    @router.post("/dead-letters/{letter_id}/redrive", status_code=202, responses=decided)
    async def redrive(letter_id: Id, who: Manager) -> DeadLetterInFull:
        """Handle it again within seconds, once, wherever its stream is read."""
        try:
            return _in_full(await operators.redrive(letter_id, who=who.id))
        except (NoSuchLetter, LetterDecided) as error:
            raise _refusal(error) from error

    @router.post("/dead-letters/{letter_id}/drop", responses=decided)
    async def drop(letter_id: Id, wish: LetterDrop, who: Manager) -> DeadLetterInFull:
        """Decide that it has no effect, and say why."""
        try:
            return _in_full(await operators.drop(letter_id, reason=wish.reason, who=who.id))
        except (NoSuchLetter, LetterDecided) as error:
            raise _refusal(error) from error

    @router.get("/log")
    async def log(
        _: Manager,
        before: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
        limit: Limit = 100,
    ) -> DeedPage:
        """What operators did, the newest first."""
        deeds = await operators.log(before=before, limit=limit)
        more = str(deeds[-1].id) if len(deeds) == limit else None
        return DeedPage(items=[DeedView.model_validate(deed._asdict()) for deed in deeds], next=more)

    return router


def _seen(letter: Letter) -> dict[str, object]:
    return {**letter._asdict(), "event_id": letter.key, "edited": letter.edited is not None}


def _in_full(letter: Letter) -> DeadLetterInFull:
    return DeadLetterInFull.model_validate({**_seen(letter), "event": letter.event(), "entry": letter.entry})


def _refusal(error: NoSuchLetter | LetterDecided) -> Problem:
    if isinstance(error, NoSuchLetter):
        return not_found(str(error))
    return Problem(ProblemType.CONFLICT, "Decided already", 409, str(error))
