"""From the streams of all services into the archive."""

from collections.abc import Callable, Sequence

from pizzeria_chassis.consumer import EventConsumer
from pizzeria_chassis.transaction import Transaction
from rediscore.streams import RawEvent

from analytics_service import archive


def archive_all(consumer: EventConsumer, archived: Callable[[], None]) -> None:
    """Archive every event of a stream; `archived` is told after each commit."""

    @consumer.on_batch
    async def keep(tx: Transaction, events: Sequence[RawEvent]) -> None:
        await archive.append(tx, consumer.stream, events)

        async def tell() -> None:
            archived()

        tx.after_commit(tell)
