"""One unit of work: facts and the events that tell of them, committed together."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from pizzeria_contracts.events import Payload, type_of
from pizzeria_contracts.streams import stream_of
from rediscore.clock import Clock
from rediscore.streams.event import CloudEvent
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pizzeria_chassis.ids import new_id
from pizzeria_chassis.tables import outbox
from pizzeria_chassis.telemetry import current_traceparent

__all__ = ["Transaction"]

PayloadT = TypeVar("PayloadT", bound=Payload)
Hook = Callable[[], Awaitable[object]]

# Built once: building a statement costs more than running it.
_ADD: Final = insert(outbox)
_LAST_SEQUENCE: Final = select(func.max(outbox.c.sequence)).where(
    outbox.c.stream == bindparam("of_stream"), outbox.c.subject == bindparam("of_subject")
)


class Transaction:
    """What work inside ``Database.transact`` gets: a connection, and a way to append events to the outbox."""

    def __init__(
        self, connection: AsyncConnection, *, source: str, clock: Clock, cause: CloudEvent[Any] | None = None
    ) -> None:
        self.connection = connection
        self.cause = cause
        self._source = source
        self._clock = clock
        self._sequences: dict[tuple[str, str], int] = {}
        self._rows: list[dict[str, object]] = []
        self._hooks: list[Hook] = []

    @property
    def now(self) -> datetime:
        return self._clock.now()

    async def append(
        self, payload: PayloadT, *, subject: str, causation: CloudEvent[Any] | None = None
    ) -> CloudEvent[PayloadT]:
        """Tell that something happened; goes out if and only if this transaction commits.

        The event gets the next ``sequence`` of its subject, the traceparent of the work under way, and
        what caused it: ``causation``, else the event that is being handled. One query per subject; the
        rows are written together at the end.
        """
        stream = stream_of(payload)
        cause = causation or self.cause
        event = CloudEvent[PayloadT](
            id=new_id(),
            source=self._source,
            type=type_of(payload),
            subject=subject,
            time=self._clock.now(),
            traceparent=current_traceparent(),
            correlationid=(cause.correlationid or cause.subject) if cause else subject,
            causationid=cause.id if cause else None,
            sequence=await self._next_sequence(stream, subject),
            data=payload,
        )
        self._rows.append(
            {
                "event_id": event.id,
                "stream": stream,
                "subject": subject,
                "sequence": event.sequence,
                "type": event.type,
                "envelope": event.to_json(),
                "created_at": event.time,
            }
        )
        return event

    def after_commit(self, hook: Hook) -> None:
        """Run ``hook`` once the transaction is committed, never when it is rolled back or retried.

        For hints and shortcuts alone: the process may die in between, and a hook that raises is logged.
        """
        self._hooks.append(hook)

    async def write_outbox(self) -> None:
        """Write the appended events; ``Database.transact`` calls it last."""
        if self._rows:
            await self.connection.execute(_ADD, self._rows)

    @property
    def has_events(self) -> bool:
        return bool(self._rows)

    @property
    def hooks(self) -> tuple[Hook, ...]:
        return tuple(self._hooks)

    async def _next_sequence(self, stream: str, subject: str) -> int:
        # Two transactions that tell of one subject at once get the same number; the unique constraint
        # refuses the second, and transact runs it again.
        key = (stream, subject)
        if key not in self._sequences:
            found = await self.connection.execute(
                _LAST_SEQUENCE, {"of_stream": stream, "of_subject": subject}
            )
            self._sequences[key] = found.scalar() or 0
        self._sequences[key] += 1
        return self._sequences[key]
