"""Calls about the stations: what they can do, who works there, and how honest the estimates are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.requests import RequestBody
from pydantic import Field
from rediscore.clock import Clock

from kitchen_service.app import Kitchen
from kitchen_service.domain.station import ALL_SKILLS, Skill
from kitchen_service.entrypoints.answers import EstimatesAnswer, Page, StationAnswer
from kitchen_service.entrypoints.parameters import Cook, NewSlug

Manager = Annotated[Principal, Depends(require("manager"))]
_ROLES = problems(_401="Unknown token.", _403="Wrong role.")


class Arrangement(RequestBody):
    """What a station can do from now on."""

    capacity: Annotated[int, Field(ge=1, le=50)]
    skills: Annotated[frozenset[Skill], Field(min_length=1)] = ALL_SKILLS
    open: bool = True


def stations_router(kitchen: Kitchen, clock: Clock) -> APIRouter:
    router = APIRouter(tags=["stations"])

    @router.get("/stations", responses=_ROLES)
    async def stations(_: Cook) -> Page[StationAnswer]:
        """All stations with what they cook now."""
        rows = await kitchen.queries.stations()
        now = clock.now()
        return Page(items=[StationAnswer.at(now, station, tickets) for station, tickets in rows])

    @router.put(
        "/stations/{station_id}",
        responses={
            201: {"model": StationAnswer, "description": "A new station."},
            **_ROLES,
            **problems(_409="It holds more than the new capacity, or there are too many stations."),
        },
    )
    async def arrange(
        station_id: NewSlug, body: Arrangement, response: Response, _: Manager
    ) -> StationAnswer:
        """Set a station up, change what it can do, or close it. What it holds it cooks to the end."""
        station, new = await kitchen.commands.arrange_station(
            station_id, capacity=body.capacity, skills=body.skills, open_=body.open
        )
        response.status_code = 201 if new else 200
        return StationAnswer.at(clock.now(), station, ())

    @router.get("/estimates", responses=_ROLES)
    async def estimates(_: Cook) -> EstimatesAnswer:
        """How well the kitchen has guessed of late."""
        pace = await kitchen.queries.pace()
        return EstimatesAnswer.of(await kitchen.queries.accuracy(), pace.cooking)

    return router
