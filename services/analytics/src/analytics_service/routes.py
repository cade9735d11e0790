"""What managers, and of popularity everybody, may read."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pizzeria_chassis.auth import require
from pizzeria_chassis.database import Database
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.problems import Problem, not_found, unavailable
from pizzeria_contracts.problems import ProblemType
from pydantic import AwareDatetime
from rediscore.clock import Clock

from analytics_service import answers, archive
from analytics_service.answers import (
    AsOf,
    Cancellations,
    Hourly,
    Journey,
    Leaderboard,
    Popular,
    PopularPizza,
    Revenue,
)
from analytics_service.boards import BoardName, leaderboard
from analytics_service.projections import Projections
from analytics_service.projector import day_of
from analytics_service.snapshots import BEGINNING, Snapshots, TooFarFromASnapshot
from analytics_service.tally import DAYS_KEPT, Table, Window, board_table, day_table, timings_table
from analytics_service.timings import Timings, timings

AWAY = problems(_503="Redis or the database does not answer, or the archive is still being folded.")
STAFF = problems(_401="No or unknown token.", _403="Not a manager.")

PRINTABLE = r"^[ -~]*$"
"""For what comes from outside and goes to a database: PostgreSQL takes no NUL in a text."""

Limit = Annotated[int, Query(ge=1, le=100)]
First = Annotated[date | None, Query(alias="from", description="default: the oldest that is kept")]
Last = Annotated[date | None, Query(alias="to", description="included; default: today")]
Day = Annotated[date | None, Query(alias="date", description="default: today")]


def public_router(projections: Projections, clock: Clock) -> APIRouter:
    """What everybody may read."""
    router = APIRouter(tags=["analytics"])

    @router.get("/popular", responses=AWAY)
    async def popular(limit: Limit = 10) -> Popular:
        """The most ordered pizzas, by confirmed orders."""
        async with projections.reading() as generation:
            found = await projections.best(generation, board_table("pizzas", "all", clock.now()), limit)
        return Popular(items=[PopularPizza(pizza_id=pizza, count=count) for pizza, count in found])

    return router


def manager_router(
    database: Database, projections: Projections, snapshots: Snapshots, clock: Clock
) -> APIRouter:
    """What managers may read."""
    router = APIRouter(tags=["analytics"], dependencies=[Depends(require("manager"))], responses=STAFF | AWAY)

    def today() -> date:
        return day_of(clock.now())

    async def read(*tables: Table) -> Mapping[Table, dict[str, int]]:
        async with projections.reading() as generation:
            return await projections.tables(generation, tables)

    def span(first: date | None, last: date | None) -> tuple[date, date]:
        since, until = first or _oldest(today()), last or today()
        _must_be_kept(today(), **{"from": since, "to": until})
        if until < since:
            raise invalid("to", "must not be before from")
        return since, until

    @router.get("/hourly")
    async def hourly(day: Day = None) -> Hourly:
        """Orders and money of one day by the hour (UTC). Hours are kept for eight days."""
        wanted = day or today()
        _must_be_kept(today(), date=wanted)
        table = day_table(wanted)
        return answers.hourly(wanted, (await read(table))[table])

    @router.get("/revenue")
    async def revenue(first: First = None, last: Last = None) -> Revenue:
        """What was captured less what was refunded, in all and by the day (UTC)."""
        tables = {day: day_table(day) for day in _days(*span(first, last))}
        found = await read(*tables.values())
        return answers.revenue({day: found[table] for day, table in tables.items()})

    @router.get("/cancellations")
    async def cancellations(first: First = None, last: Last = None) -> Cancellations:
        """Why orders were cancelled."""
        found = await read(*(day_table(day) for day in _days(*span(first, last))))
        return answers.cancellations(found.values())

    @router.get("/timings", response_model_exclude_none=False)
    async def how_long(first: First = None, last: Last = None) -> Timings:
        """How long pizzas waited and were prepared, and orders took: percentiles in seconds."""
        since, until = span(first, last)
        found = await read(*(timings_table(day) for day in _days(since, until)))
        return timings(since, until, found.values())

    @router.get("/leaderboards/{name}")
    async def board(
        name: BoardName, window: Window = "all", day: Day = None, limit: Limit = 10
    ) -> Leaderboard:
        """Stations by tickets and by speed, customers by orders and by money, pizzas; of the day or the week
        (from Monday on, UTC) that holds `date`, or of all time."""
        wanted = day or today()
        _must_be_kept(today(), date=wanted)
        async with projections.reading() as generation:
            return await leaderboard(projections, generation, name, window, wanted, limit)

    @router.get("/as-of")
    async def as_of(
        time: Annotated[
            AwareDatetime, Query(description="not in the future", examples=["2026-11-28T12:00:00Z"])
        ],
    ) -> AsOf:
        """How popularity, money and orders by state stood at a moment: from the archive, without Redis."""
        if not BEGINNING <= time <= clock.now():
            raise invalid("time", "must not be before 1970 or in the future")
        try:
            then = await snapshots.standing(time)
        except TooFarFromASnapshot:
            raise unavailable(
                "The snapshots before this moment are still being made.", retry_after=30
            ) from None
        return answers.as_of(time, then)

    @router.get("/journeys/{order_id}", responses=problems(_404="Nothing is known of this order."))
    async def journey(order_id: Annotated[str, Path(max_length=100, pattern=PRINTABLE)]) -> Journey:
        """Every event of one order so far."""
        async with database.read() as connection:
            events = await archive.about(connection, order_id)
        if not events:
            raise not_found("Nothing is known of this order.")
        return answers.journey(order_id, events)

    return router


def _oldest(today: date) -> date:
    return today - timedelta(days=DAYS_KEPT - 1)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _must_be_kept(today: date, **days: date) -> None:
    # An empty answer would be taken for "nothing was sold".
    oldest = _oldest(today)
    for parameter, day in days.items():
        if not oldest <= day <= today:
            raise invalid(parameter, f"must be from {oldest} to {today}: {DAYS_KEPT} days are kept")


def invalid(parameter: str, detail: str) -> Problem:
    """A 422 that names a parameter of the query."""
    return Problem(
        ProblemType.INVALID_INPUT,
        "Invalid input",
        422,
        "Some of the input is missing, unknown or wrong; see errors.",
        errors=[{"in": "query", "parameter": parameter, "detail": detail}],
    )
