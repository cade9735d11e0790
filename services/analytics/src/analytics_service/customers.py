"""The calls about segments of customers, and campaigns for them."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pizzeria_chassis.auth import require
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.problems import Problem, not_found
from pizzeria_contracts.payloads import UtcTime
from pizzeria_contracts.problems import ProblemType
from pydantic import BaseModel, ConfigDict, Field
from rediscore.clock import Clock

from analytics_service.campaigns import Campaign, Campaigns, KeyReused, Wish
from analytics_service.projections import Projections
from analytics_service.routes import AWAY, PRINTABLE, STAFF, invalid
from analytics_service.segments import description, expression, names
from analytics_service.tally import board_table

_LONGEST = timedelta(days=366)

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[
    str | None, Query(max_length=400, pattern=PRINTABLE, description="`next` of the page before")
]
Name = Annotated[str, Path(max_length=100, pattern=PRINTABLE)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key again: the same campaign",
    ),
]


class Segment(BaseModel):
    name: str
    description: str
    count: int


class SegmentList(BaseModel):
    items: list[Segment]
    next: str | None = None


class Members(BaseModel):
    """Customer ids. A page may be short, even empty: `next` says whether there is more."""

    items: list[str]
    next: str | None


class SegmentOverlap(BaseModel):
    """How many customers are in two segments. `similarity`: `both` as a share of `either`."""

    of: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
    counts: Annotated[tuple[int, ...], Field(min_length=2, max_length=2)]
    both: int
    either: int
    similarity: float


class NewCampaign(BaseModel):
    """For whoever is in any of the segments at the moment, until a time within a year."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Spring, two for one"]
    )
    segments: list[Annotated[str, Field(max_length=100)]] = Field(
        min_length=1, max_length=10, examples=[["regular", "likes-margherita"]]
    )
    expires_at: UtcTime


class CampaignState(BaseModel):
    """`audience_size`: how many customers were in the segments when it was made; those it is for."""

    id: str
    name: str
    segments: list[str]
    audience_size: int
    status: Literal["running", "ended"]
    created_at: datetime
    expires_at: datetime


class CampaignList(BaseModel):
    items: list[CampaignState]
    next: str | None


def customers_router(projections: Projections, campaigns: Campaigns, clock: Clock) -> APIRouter:
    """What managers may do with segments and campaigns."""
    router = APIRouter(tags=["customers"], dependencies=[Depends(require("manager"))], responses=STAFF | AWAY)
    segments = projections.segments

    async def known(live: str) -> list[str]:
        board = board_table("pizzas", "all", clock.now())
        return names([pizza for pizza, _ in await projections.best(live, board, 100)])

    def state(campaign: Campaign) -> CampaignState:
        running = clock.now() < campaign.expires_at
        return CampaignState.model_validate(
            {**campaign._asdict(), "status": "running" if running else "ended"}
        )

    async def existing(campaign_id: str) -> Campaign:
        found = await campaigns.find(campaign_id)
        if found is None:
            raise not_found("There is no such campaign.")
        return found

    @router.get("/segments")
    async def all_segments() -> SegmentList:
        """The segments, and how many customers are in each now. One also for each pizza that was ordered."""
        async with projections.reading() as live:
            return SegmentList(
                items=[
                    Segment(
                        name=name,
                        description=description(name),
                        count=await segments.count(expression(segments, live, name)),
                    )
                    for name in await known(live)
                ]
            )

    @router.get("/segments/overlap")
    async def overlap(
        of: Annotated[str, Query(max_length=201, description="two names", examples=["regular,new"])],
    ) -> SegmentOverlap:
        """How many customers two segments have in common."""
        async with projections.reading() as live:
            pair, all_names = of.split(","), await known(live)
            if len(pair) != 2 or not set(pair) <= set(all_names):
                raise invalid("of", f"must be two of {', '.join(all_names)}, with a comma between")
            one, other = (expression(segments, live, name) for name in pair)
            counts = await segments.count(one), await segments.count(other)
            both = await segments.count(one & other)
        either = counts[0] + counts[1] - both
        return SegmentOverlap(
            of=(pair[0], pair[1]),
            counts=counts,
            both=both,
            either=either,
            similarity=round(both / either, 4) if either else 0.0,
        )

    @router.get("/segments/{name}", responses=problems(_404="No such segment."))
    async def members(name: Name, limit: Limit = 50, cursor: Cursor = None) -> Members:
        """Who is in a segment now. Who is in it all the time is on some page for sure."""
        async with projections.reading() as live:
            if name not in await known(live):
                raise not_found("There is no such segment.")
            try:
                found, after = await segments.page(expression(segments, live, name), limit, cursor)
            except ValueError:
                raise invalid("cursor", "is not one of this list") from None
        return Members(items=found, next=after)

    @router.post(
        "/campaigns", status_code=201, responses=problems(_409="The key was used for another campaign.")
    )
    async def begin(wanted: NewCampaign, response: Response, key: Key = None) -> CampaignState:
        """Begin a campaign. Its audience stays as it is now, until its end."""
        wish = Wish(wanted.name, tuple(wanted.segments), wanted.expires_at)
        try:
            made = await campaigns.of_key(wish, key) if key is not None else None
            replayed = made is not None
            if made is None:
                async with projections.reading() as live:
                    _check(wanted, await known(live), clock.now())
                made, replayed = await campaigns.begin(wish, key)
        except KeyReused:
            raise Problem(
                ProblemType.IDEMPOTENCY_KEY_REUSED,
                "Key already used",
                409,
                "This Idempotency-Key was used for another campaign; send a new key.",
            ) from None
        if replayed:
            response.headers["Idempotency-Replayed"] = "true"
        response.headers["Location"] = f"/campaigns/{made.id}"
        return state(made)

    @router.get("/campaigns")
    async def all_campaigns(limit: Limit = 50, cursor: Cursor = None) -> CampaignList:
        """All campaigns, newest first."""
        found = await campaigns.newest(limit, cursor)
        return CampaignList(
            items=[state(one) for one in found], next=found[-1].id if len(found) == limit else None
        )

    @router.get("/campaigns/{campaign_id}", responses=problems(_404="No such campaign."))
    async def one_campaign(campaign_id: Name) -> CampaignState:
        """One campaign."""
        return state(await existing(campaign_id))

    @router.get("/campaigns/{campaign_id}/audience", responses=problems(_404="No such campaign."))
    async def audience(campaign_id: Name, limit: Limit = 50, cursor: Cursor = None) -> Members:
        """Whom a campaign is for; nobody any more once it has ended."""
        try:
            found, after = await campaigns.audience(await existing(campaign_id), limit, cursor)
        except ValueError:
            raise invalid("cursor", "is not one of this list") from None
        return Members(items=found, next=after)

    return router


def _check(wanted: NewCampaign, known: list[str], now: datetime) -> None:
    errors = []
    for number, name in enumerate(wanted.segments):
        if name not in known:
            errors.append({"pointer": f"/segments/{number}", "detail": f"must be one of {', '.join(known)}"})
        elif name in wanted.segments[:number]:
            errors.append({"pointer": f"/segments/{number}", "detail": "is there twice"})
    if not now < wanted.expires_at <= now + _LONGEST:
        errors.append({"pointer": "/expires_at", "detail": "must be in the future, within a year"})
    if errors:
        raise Problem(
            ProblemType.INVALID_INPUT,
            "Invalid input",
            422,
            "Some of the input is missing, unknown or wrong; see errors.",
            errors=errors,
        )
