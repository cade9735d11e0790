"""How far the projections are, and folding them anew."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from pizzeria_chassis.auth import require
from pizzeria_chassis.database import Database
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.problems import not_found
from pydantic import BaseModel

from analytics_service import archive
from analytics_service.check import Checker
from analytics_service.picture import Differences
from analytics_service.projections import Control, Projections
from analytics_service.rebuilds import Rebuild, Rebuilds
from analytics_service.routes import AWAY, PRINTABLE, STAFF
from analytics_service.tally import TOTALS


class Difference(BaseModel):
    """A number that was not what the archive says; 0 stands for none."""

    table: str
    field: str
    expected: int
    found: int


class RebuildState(BaseModel):
    """`counted` of `archive_head` events are folded. `compared`: whether the new projections could be
    compared with the old ones, null as long as they were not or when there were none. `differences`: how many
    numbers of the old ones were wrong, and some of them."""

    id: str
    reason: str
    status: Literal["waiting", "folding", "live"]
    counted: int
    archive_head: int
    requested_at: datetime
    finished_at: datetime | None
    compared: bool | None
    differences: int
    examples: list[Difference]


class ProjectionState(BaseModel):
    """How far the live projections are behind the archive; equal numbers: not at all. `checkpoint` is null
    while there are none."""

    archive_head: int
    checkpoint: int | None
    unreadable: int
    rebuild: RebuildState | None


class RebuildStates(BaseModel):
    items: list[RebuildState]
    next: str | None = None


class StreamState(BaseModel):
    """`missing`: positions of the feed that the archive lacks, some of them; `strangers`: those at which it
    holds another event."""

    feed_head: int
    archived: int
    missing: list[int]
    strangers: list[int]


class CheckResult(BaseModel):
    """At rest everything is counted and consistent. `differences` is null when the projections moved on each
    time that they were read: ask again. While events come, those of the last moment may be missing."""

    consistent: bool
    checkpoint: int
    archive_head: int
    differences: int | None
    examples: list[Difference]
    streams: dict[str, StreamState]


def operations_router(
    database: Database, projections: Projections, checker: Checker, nudge: Callable[[], None]
) -> APIRouter:
    """What managers need to watch and repair the projections. `nudge` lets the projector look at once."""
    router = APIRouter(
        prefix="/projections",
        tags=["projections"],
        dependencies=[Depends(require("manager"))],
        responses=STAFF | AWAY,
    )
    rebuilds = Rebuilds(database, projections.layout)

    async def head() -> int:
        async with database.read() as connection:
            return await archive.head(connection)

    async def state_of(rebuild: Rebuild) -> RebuildState:
        return _state(rebuild, await projections.control(), await head())

    @router.get("")
    async def projection_state() -> ProjectionState:
        """How far the live projections have counted the archive, and the rebuild under way."""
        async with projections.breaker:
            control = await projections.control()
            tables = await projections.tables(control.live.name, [TOTALS]) if control.live else {}
        newest, rebuild = await head(), await rebuilds.open()
        return ProjectionState(
            archive_head=newest,
            checkpoint=control.live.checkpoint.seq if control.live else None,
            unreadable=tables.get(TOTALS, {}).get("unreadable", 0),
            rebuild=_state(rebuild, control, newest) if rebuild else None,
        )

    @router.post("/rebuild", status_code=202)
    async def rebuild(response: Response) -> RebuildState:
        """Fold the archive from the start beside the live projections, compare, and put it in their place.

        One at a time: asked for once more, it is the one under way. Its state is at `Location`."""
        asked = await rebuilds.request("asked-for")
        nudge()
        response.headers["Location"] = f"/projections/rebuilds/{asked.id}"
        return await state_of(asked)

    @router.get("/rebuilds")
    async def all_rebuilds() -> RebuildStates:
        """The newest twenty rebuilds, also those that began by themselves."""
        control, newest = await projections.control(), await head()
        return RebuildStates(items=[_state(one, control, newest) for one in await rebuilds.latest(20)])

    @router.get("/rebuilds/{rebuild_id}", responses=problems(_404="No such rebuild."))
    async def one_rebuild(rebuild_id: Annotated[str, Path(max_length=36, pattern=PRINTABLE)]) -> RebuildState:
        """How far a rebuild is, and what it found."""
        found = await rebuilds.find(rebuild_id)
        if found is None:
            raise not_found("There is no such rebuild.")
        return await state_of(found)

    @router.get("/check")
    async def check() -> CheckResult:
        """Compare the projections with a fold over the archive from nothing, and the archive with the feeds.

        Reads the whole archive: for when something looks wrong, and for tests."""
        report = await checker.check()
        found = report.differences
        return CheckResult(
            consistent=report.consistent,
            checkpoint=report.checkpoint,
            archive_head=report.archive_head,
            differences=None if found is None else found.count,
            examples=_examples(found),
            streams={stream: StreamState(**asdict(of)) for stream, of in report.streams.items()},
        )

    return router


def _state(rebuild: Rebuild, control: Control, newest: int) -> RebuildState:
    generation = next(
        (found for found in (control.shadow, control.live) if found and found.name == rebuild.id), None
    )
    status: Literal["waiting", "folding", "live"] = "folding" if generation else "waiting"
    if rebuild.finished_at is not None or (generation and generation is control.live):
        status = "live"
    return RebuildState(
        id=rebuild.id,
        reason=rebuild.reason,
        status=status,
        counted=generation.checkpoint.seq if generation else 0,
        archive_head=newest,
        requested_at=rebuild.requested_at,
        finished_at=rebuild.finished_at,
        compared=rebuild.compared,
        differences=rebuild.differences.count,
        examples=_examples(rebuild.differences),
    )


def _examples(found: Differences | None) -> list[Difference]:
    return [Difference(**asdict(one)) for one in found.examples] if found else []
