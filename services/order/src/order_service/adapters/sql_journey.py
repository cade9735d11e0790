"""The journey of one order: what we told, from our outbox, and what we heard or tried, from `journey`."""

from collections.abc import Iterator

from pizzeria_chassis.tables import outbox
from pizzeria_contracts.streams import ORDERS
from rediscore.streams.event import RawEvent
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from order_service.adapters.tables import journey
from order_service.domain.records import JourneyEntry


async def read_journey(connection: AsyncConnection, order_id: str) -> list[JourneyEntry]:
    """All of it in time order. Two queries."""
    told = await connection.execute(
        select(outbox.c.envelope)
        .where(outbox.c.stream == ORDERS, outbox.c.subject == order_id)
        .order_by(outbox.c.sequence)
    )
    heard = await connection.execute(
        select(journey).where(journey.c.order_id == order_id).order_by(journey.c.id)
    )
    entries = [
        *_told(told.scalars()),
        *(JourneyEntry(row.time, row.type, row.source, row.trace_id, row.detail) for row in heard),
    ]
    return sorted(entries, key=lambda entry: entry.time)


def _told(envelopes: Iterator[str]) -> Iterator[JourneyEntry]:
    for envelope in envelopes:
        event = RawEvent.model_validate_json(envelope)
        trace_id = event.traceparent.split("-")[1] if event.traceparent else None
        yield JourneyEntry(event.time, event.type, event.source, trace_id, event.data)
