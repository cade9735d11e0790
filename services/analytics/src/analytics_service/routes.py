"""The calls of the analytics service. They only read."""

from datetime import UTC, date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pizzeria_chassis.auth import require
from pizzeria_chassis.database import Database
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.problems import Problem, not_found
from pizzeria_contracts.problems import ProblemType
from rediscore.clock import Clock

from analytics_service import answers, archive
from analytics_service.answers import Hourly, Journey, Popular, PopularPizza, ProjectionState, Revenue
from analytics_service.projections import Projections
from analytics_service.projector import DAYS_KEPT, oldest_day

_AWAY = problems(_503="Redis, or the database, does not answer.")


def public_router(projections: Projections) -> APIRouter:
    """What everybody may read."""
    router = APIRouter(tags=["analytics"])

    @router.get("/popular", responses=_AWAY)
    async def popular(limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Popular:
        """The most ordered pizzas, by confirmed orders."""
        found = await projections.popular(limit)
        return Popular(items=[PopularPizza(pizza_id=pizza, count=count) for pizza, count in found])

    return router


def manager_router(database: Database, projections: Projections, clock: Clock) -> APIRouter:
    """What managers may read."""
    staff = problems(_401="No or unknown token.", _403="Not a manager.")
    router = APIRouter(
        tags=["analytics"], dependencies=[Depends(require("manager"))], responses=staff | _AWAY
    )

    @router.get("/hourly")
    async def hourly(
        day: Annotated[date | None, Query(alias="date", description="default: today")] = None,
    ) -> Hourly:
        """Orders and money of one day by the hour (UTC). Hours are kept for eight days."""
        wanted = day or _today(clock)
        _must_be_kept(clock, date=wanted)
        return answers.hourly(wanted, await projections.hours())

    @router.get("/revenue")
    async def revenue(
        first: Annotated[
            date | None, Query(alias="from", description="default: the oldest that is kept")
        ] = None,
        last: Annotated[date | None, Query(alias="to", description="included; default: today")] = None,
    ) -> Revenue:
        """What was captured less what was refunded, in all and by the day (UTC)."""
        since, until = first or oldest_day(clock.now()), last or _today(clock)
        _must_be_kept(clock, **{"from": since, "to": until})
        if until < since:
            raise _invalid("to", "must not be before from")
        return answers.revenue(since, until, await projections.hours())

    @router.get("/journeys/{order_id}", responses=problems(_404="Nothing is known of this order."))
    async def journey(order_id: Annotated[str, Path(max_length=100)]) -> Journey:
        """Every event of one order so far."""
        async with database.read() as session:
            events = await archive.about(session, order_id)
        if not events:
            raise not_found("Nothing is known of this order.")
        return answers.journey(order_id, events)

    @router.get("/projections")
    async def projection_state() -> ProjectionState:
        """How far the projections have counted the archive."""
        state = await projections.state()
        async with database.read() as session:
            head = await archive.head(session)
        seq = state.checkpoint.seq if state.checkpoint else 0
        return ProjectionState(archive_head=head, checkpoint=seq, unreadable=state.unreadable)

    return router


def _today(clock: Clock) -> date:
    return clock.now().astimezone(UTC).date()


def _must_be_kept(clock: Clock, **days: date) -> None:
    # An empty answer would be taken for "nothing was sold".
    oldest, newest = oldest_day(clock.now()), _today(clock)
    for parameter, day in days.items():
        if not oldest <= day <= newest:
            raise _invalid(parameter, f"must be from {oldest} to {newest}: {DAYS_KEPT} days are kept")


def _invalid(parameter: str, detail: str) -> Problem:
    return Problem(
        ProblemType.INVALID_INPUT,
        "Invalid input",
        422,
        "Some of the input is missing, unknown or wrong; see errors.",
        errors=[{"in": "query", "parameter": parameter, "detail": detail}],
    )
