"""A service that hears of the kitchen, and cannot handle what station "broken" does."""

from pathlib import Path

from fastapi import FastAPI
from pizzeria_chassis.chassis import Chassis
from pizzeria_chassis.feed import FeedClient
from pizzeria_chassis.settings import ServiceSettings
from pizzeria_chassis.testing import TOKENS
from pizzeria_chassis.testing.events import Upstream
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import CancellationRequested, TicketStarted
from pizzeria_contracts.streams import KITCHEN, ORDERS
from pydantic import SecretStr
from rediscore.retry import Backoff
from rediscore.settings import RedisSettings
from rediscore.streams import RetryPolicy
from rediscore.streams.event import CloudEvent

__all__ = ["BROKEN", "make_shop"]

BROKEN = TicketStarted(ticket_id="t-1", station_id="broken")


def make_shop(
    tmp_path: Path, redis: RedisSettings, upstream: Upstream, environment: str, *, tasks: bool = False
) -> tuple[Chassis, FastAPI]:
    """Needs the package ``shop`` beside it on ``sys.path``. Not started."""
    settings = ServiceSettings(
        service_name="order",
        port=0,
        environment=environment,
        database_url=SecretStr(f"sqlite:///{tmp_path}/shop.db"),
        redis=redis,
        **{f"{role}_token": SecretStr(token) for role, token in TOKENS.items()},
    )
    chassis = Chassis(settings, package="shop", description="A shop.", publishes=ORDERS)
    kitchen = chassis.consumer(KITCHEN, upstream="http://kitchen")
    token = SecretStr(TOKENS["service"])
    kitchen.feed = FeedClient("http://kitchen", token, transport=upstream.transport())
    kitchen._retry = RetryPolicy(max_attempts=2, backoff=Backoff(0.02, 0.05))

    @kitchen.on(TicketStarted)
    async def started(tx: Transaction, event: CloudEvent[TicketStarted]) -> None:
        await tx.append(CancellationRequested(reason="test"), subject=event.subject)
        if event.data.station_id == "broken":
            raise RuntimeError("a bug")

    kitchen.ignore_rest()
    if tasks:
        chassis.tasks()
    return chassis, chassis.app()
