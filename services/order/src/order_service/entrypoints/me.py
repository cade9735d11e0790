"""What a guest is to us, over HTTP: see it, correct it, take it along, have it deleted."""

from typing import Annotated

from fastapi import APIRouter, Query
from pizzeria_chassis.openapi import problems

from order_service.app import OrderService
from order_service.entrypoints.bodies import ProfileChange
from order_service.entrypoints.exports import Export
from order_service.entrypoints.guests import Guest
from order_service.entrypoints.views import CustomerView, LetterPage, LetterView


def me_router(service: OrderService) -> APIRouter:
    router = APIRouter(
        prefix="/me", tags=["me"], responses=problems(_401="Unknown token.", _403="Wrong role.")
    )

    @router.get("")
    async def me(guest: Guest) -> CustomerView:
        """Who you are to us."""
        return CustomerView.of(await service.profile.show(guest.id))

    @router.patch("")
    async def change(guest: Guest, body: ProfileChange) -> CustomerView:
        """Correct what is sent; `null` deletes phone or email."""
        return CustomerView.of(await service.profile.change(guest.id, body.model_dump(exclude_unset=True)))

    @router.get("/export")
    async def export(guest: Guest) -> Export:
        """All that is kept about you, in one document."""
        return Export.of(await service.profile.export(guest.id))

    @router.get("/mailbox")
    async def mailbox(
        guest: Guest,
        after: Annotated[
            str | None, Query(pattern=r"^[0-9a-f-]{36}$", description="`next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> LetterPage:
        """What you were told of your orders, receipts included; newest first."""
        found = await service.mailbox.letters(guest.id, after, limit)
        return LetterPage(
            items=tuple(map(LetterView.of, found)), next=found[-1].id if len(found) == limit else None
        )

    @router.delete("", status_code=204, responses=problems(_409="An order of yours has not ended yet."))
    async def delete(guest: Guest) -> None:
        """Delete what is personal. Ended orders stay, as those of nobody. Your sessions end."""
        await service.profile.erase(guest.id)

    return router
