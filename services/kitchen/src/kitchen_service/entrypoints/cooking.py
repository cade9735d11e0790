"""Calls of cooks: the queue, and the life of a ticket in their hands."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pizzeria_chassis.ids import new_id
from pizzeria_chassis.openapi import problems
from pizzeria_chassis.requests import RequestBody
from pydantic import Field
from rediscore.clock import Clock

from kitchen_service.app import Kitchen
from kitchen_service.entrypoints.answers import HeldTicket, Page, ShownTicket
from kitchen_service.entrypoints.parameters import (
    After,
    Cook,
    Id,
    Key,
    Limit,
    Slug,
    decode_mark,
    encode_mark,
)
from kitchen_service.entrypoints.waiting import nobody_waits

Token = Annotated[int, Field(ge=1, lt=2**63)]
_ROLES = problems(_401="Unknown token.", _403="Wrong role.")
_LEASE = {**_ROLES, **problems(_404="No such ticket.", _409="Not yours any more: stale-lease.")}


class Claim(RequestBody):
    """How long to wait for a ticket when there is none."""

    wait_seconds: Annotated[float, Field(ge=0, le=30)] = 0


class Holder(RequestBody):
    fencing_token: Token


class Failure(RequestBody):
    fencing_token: Token
    reason: Annotated[str, Field(min_length=1, max_length=500)]


def cooking_router(kitchen: Kitchen, clock: Clock) -> APIRouter:
    router = APIRouter(tags=["cooking"])
    commands = kitchen.commands

    @router.get("/queue", responses=_ROLES)
    async def queue(_: Cook, limit: Limit = 100, after: After = None) -> Page[ShownTicket]:
        """Waiting tickets, the next to be cooked first."""
        shown = await kitchen.queries.queue(limit, decode_mark(after))
        last = shown[-1][0] if len(shown) == limit else None
        now = clock.now()
        return Page(
            items=[ShownTicket.at(now, ticket) for ticket in shown],
            next=encode_mark(last.rank, last.id) if last else None,
        )

    @router.post(
        "/stations/{station_id}/claim",
        response_model=HeldTicket,
        responses={
            204: {"description": "Nothing to cook in that time."},
            **_ROLES,
            **problems(
                _404="No such station.",
                _409="The station is closed, or holds as much as it can.",
                _503="The queue cannot be reached; nothing was claimed.",
            ),
        },
    )
    async def claim(
        request: Request, station_id: Slug, _: Cook, body: Claim | None = None, key: Key = None
    ) -> HeldTicket | Response:
        """Take the next ticket, under a lease. While it is held, the same Idempotency-Key gives it again."""
        async with nobody_waits(request) as ended:
            ticket = await commands.claim_ticket(
                station_id,
                claim_id=f"{station_id}:{key or new_id()}",
                wait=timedelta(seconds=(body or Claim()).wait_seconds),
                stopping=ended,
            )
        return Response(status_code=204) if ticket is None else HeldTicket.of(ticket)

    @router.post("/tickets/{ticket_id}/extend", responses=_LEASE)
    async def extend(ticket_id: Id, body: Holder, _: Cook) -> HeldTicket:
        """Hold the ticket for a full lease from now."""
        return HeldTicket.of(await commands.extend_lease(ticket_id, body.fencing_token))

    @router.post("/tickets/{ticket_id}/complete", responses=_LEASE)
    async def complete(ticket_id: Id, body: Holder, _: Cook) -> HeldTicket:
        """The pizza is cooked. A repeat is harmless."""
        return HeldTicket.of(await commands.complete_ticket(ticket_id, body.fencing_token))

    @router.post("/tickets/{ticket_id}/fail", responses=_LEASE)
    async def fail(ticket_id: Id, body: Failure, _: Cook) -> HeldTicket:
        """The pizza is spoilt and waits to be cooked again; after five times the order is rejected."""
        return HeldTicket.of(await commands.fail_ticket(ticket_id, body.fencing_token, body.reason))

    return router
