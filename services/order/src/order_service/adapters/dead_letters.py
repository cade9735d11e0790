"""Dead letters that concern an order: what some service has given up on."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pizzeria_contracts.streams import KITCHEN, ORDERS
from pydantic import ValidationError
from redis.exceptions import RedisError
from rediscore.breaker import CircuitBreaker, CircuitOpen
from rediscore.client import RedisConnections
from rediscore.streams import dead_stream
from rediscore.streams.event import RawEvent
from rediscore.streams.partitions import stream_names

from order_service.domain.errors import LettersAway
from order_service.domain.records import JourneyEntry

NEWEST = 500


class DeadLetters:
    """Looks through the newest 500 letters of our stream and of the kitchen's, all groups of them."""

    def __init__(self, connections: RedisConnections, breaker: CircuitBreaker, *, partitions: int) -> None:
        self._connections = connections
        self._breaker = breaker
        self._streams = [
            dead_stream(name) for stream in (ORDERS, KITCHEN) for name in stream_names(stream, partitions)
        ]

    async def about(self, order_id: str) -> Sequence[JourneyEntry]:
        """One round trip per stream. Raises LettersAway without Redis."""
        found: list[JourneyEntry] = []
        try:
            async with self._breaker:
                for stream in self._streams:
                    rows: Any = await self._connections.commands.xrevrange(stream, count=NEWEST)
                    found += _letters(order_id, [fields for _, fields in rows])
        except (RedisError, TimeoutError, CircuitOpen) as error:
            raise LettersAway from error
        return found


def _letters(order_id: str, letters: Sequence[dict[bytes, bytes]]) -> Iterator[JourneyEntry]:
    for letter in letters:
        # Most letters are of others: reading them all would cost more than looking for the id.
        if order_id.encode() not in letter[b"entry"]:
            continue
        try:
            event = RawEvent.model_validate_json(letter[b"entry"])
        except ValidationError:
            continue
        if event.subject == order_id:
            # The error's text is for operators: it may say anything.
            yield JourneyEntry(
                time=datetime.fromisoformat(letter[b"time"].decode()),
                type="dead_letter",
                source=f"/pizzeria/{letter[b'group'].decode()}",
                trace_id=event.traceparent.split("-")[1] if event.traceparent else None,
                detail={
                    "event": event.type,
                    "event_id": event.id,
                    "reason": letter[b"reason"].decode(),
                    "attempts": int(letter[b"attempts"]),
                },
            )
