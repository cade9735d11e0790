"""Watching and steering tasks over HTTP, with a page for people (extra `fastapi`)."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.params import Depends
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from rediscore.tasks.app import Tasks
from rediscore.tasks.board import AT_ONCE, Board, Call, Calls, CallState, Done, Ended, Overview

__all__ = ["tasks_router"]

_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)

TaskId = Annotated[str, Field(min_length=1, max_length=512)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Skip = Annotated[int, Query(ge=0, le=10**9, description="How many to leave out: `next` of the page before.")]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SomeCalls(_Order):
    """Calls by their ids."""

    ids: Annotated[list[TaskId], Field(min_length=1, max_length=100)]


class NewPriority(SomeCalls):
    """Calls, and the class that they move to."""

    priority: str


class DeadCalls(_Order):
    """Dead calls by their ids; without ids those that have been dead for longest, of one task if named."""

    ids: Annotated[list[TaskId] | None, Field(min_length=1, max_length=AT_ONCE)] = None
    task: str | None = None
    most: Annotated[int, Field(ge=1, le=AT_ONCE)] = AT_ONCE


def tasks_router(tasks: Tasks, *, dependencies: Sequence[Depends], show_arguments: bool = False) -> APIRouter:
    """A router to be mounted anywhere: `app.include_router(tasks_router(...), prefix="/ops/tasks")`.

    `GET <prefix>/` is a page for people. It needs nothing from elsewhere, is the same for everybody and
    holds no data: it asks for a bearer token, keeps it for the browser's tab, and calls the rest with it.

    Errors of Redis are raised to the app. An entry's reason (error and traceback) is shown to whoever may
    see the entry: what tasks raise should name no person.

    Args:
        dependencies: who may: they stand before every route but the page. An empty list is for an app
            that is closed in another way.
        show_arguments: show the arguments of all calls, which may hold personal data; False shows those
            of tasks declared with `show_arguments=True`.
    """
    board = Board(tasks, show_arguments=show_arguments)
    router = APIRouter(tags=["tasks"])
    guarded = APIRouter(dependencies=list(dependencies))

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        html, policy = _page()
        return HTMLResponse(
            html,
            headers={
                "Content-Security-Policy": policy,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
            },
        )

    @guarded.get("/overview")
    async def overview() -> Overview:
        """Counts, workers, declared tasks, schedule."""
        return await board.overview()

    @guarded.get("/calls")
    async def calls(state: CallState, limit: Limit = 50, skip: Skip = 0, task: str | None = None) -> Calls:
        """Calls in one state, of one task if it is named."""
        return await board.calls(state, most=limit, skip=skip, task=task)

    # An id may hold any characters, slashes too.
    @guarded.get("/calls/{task_id:path}", responses={404: {"description": "No such call, or it is over."}})
    async def call(task_id: Annotated[str, Path(max_length=512)]) -> Call:
        """One call."""
        found = await board.find(task_id)
        if found is None:
            raise HTTPException(404, "There is no such call, or it is over.")
        return found

    @guarded.get("/ended")
    async def ended(limit: Limit = 100, skip: Skip = 0) -> Ended:
        """What has ended lately, newest first."""
        return await board.ended(most=limit, skip=skip)

    @guarded.post("/retry")
    async def retry(which: DeadCalls) -> Done:
        """Give dead calls another life."""
        return await board.retry(which.ids, task=which.task, most=which.most)

    @guarded.post("/cancel")
    async def cancel(which: SomeCalls) -> Done:
        """Take calls out, whatever their state."""
        return await board.cancel(which.ids)

    @guarded.post("/run-now")
    async def run_now(which: SomeCalls) -> Done:
        """Make scheduled calls, and those that wait for their next attempt, due at once."""
        return await board.run_now(which.ids)

    @guarded.post("/prioritise")
    async def prioritise(which: NewPriority) -> Done:
        """Move calls into another class."""
        if which.priority not in tasks.priorities:
            raise HTTPException(422, f"There is no class of that name; known: {', '.join(tasks.priorities)}.")
        return await board.prioritise(which.ids, which.priority)

    router.include_router(guarded)
    return router


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets run what it brings along and nothing else."""
    html = resources.files("rediscore.tasks").joinpath("page.html").read_text("utf-8")
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes['script'])}; "
        f"style-src {' '.join(hashes['style'])}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
