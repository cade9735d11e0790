"""Where this service stands, for everybody who wants to know whether all is done."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from pizzeria_chassis.auth import Principal, require
from pizzeria_chassis.database import Database
from pizzeria_chassis.history import outbox_state
from pizzeria_chassis.inbox import inbox_states

__all__ = ["positions_router"]


class OutboxPosition(BaseModel):
    """``head``: events committed; ``sent``: all up to here are on their stream."""

    head: int
    sent: int


class InboxPosition(BaseModel):
    """``position``: all events up to here are applied, ignored or dead; ``dead``: how many are dead."""

    position: int
    dead: int


class Positions(BaseModel):
    outbox: OutboxPosition
    inbox: dict[str, InboxPosition]


def positions_router(database: Database) -> APIRouter:
    router = APIRouter(prefix="/events", tags=["events"])

    @router.get("/positions")
    async def positions(_: Annotated[Principal, Depends(require("service", "manager"))]) -> Positions:
        """What is sent, and what is consumed of whom. At rest all are equal."""
        async with database.read() as connection:
            outbox = await outbox_state(connection)
            inbox = await inbox_states(connection)
        return Positions.model_validate({"outbox": outbox._asdict(), "inbox": inbox})

    return router
