"""A reader of the plain streams: ordered and competing, with handlers of one event and of batches."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rediscore.streams import RawEvent

from tests.chaos.harness_ledger import Effect, Ledger
from tests.chaos.harness_run import COMPETING, RETRY, Run, sort_of
from tests.chaos.harness_work import Spoilt, Workplace, behave


async def main(run: Run, name: str, stop: asyncio.Event) -> None:
    connections = run.connect()
    streams = run.streams(connections)
    for stream in run.delivers:
        place = Workplace(Ledger(run.file(f"{stream}.db"), name), connections, f"{run.prefix}:{stream}")
        batch = stream.endswith("-batch")
        subscriber = streams.subscriber(
            run.stream(stream),
            mode="competing" if stream in COMPETING else "ordered",
            batch=batch,
            retry=RETRY,
            prefetch=20,
        )
        handlers = Handlers(place)
        if batch:
            subscriber.on_batch(handlers.batch)
        else:
            subscriber.on_any(handlers.one)
    await streams.start()
    await stop.wait()
    await streams.stop(grace=5.0)
    await connections.aclose()


class Handlers:
    """Of one stream. The effect and the mark, the event's id, are one transaction; see the ledger."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def one(self, event: RawEvent) -> None:
        verdict, attempt = await self._place.begin(event.id)
        if verdict == "go":
            await behave(sort_of(event.id), attempt)
            await self._place.finish([effect_of(event)])

    async def batch(self, events: Sequence[RawEvent]) -> None:
        # Together as long as all are well; who spoils it is found alone, as the library promises.
        begun = [(event, *await self._place.begin(event.id)) for event in events]
        new = [(event, attempt) for event, verdict, attempt in begun if verdict == "go"]
        outcomes: list[Any] = await asyncio.gather(
            *(behave(sort_of(event.id), attempt) for event, attempt in new), return_exceptions=True
        )
        if spoilt := [outcome for outcome in outcomes if isinstance(outcome, BaseException)]:
            raise Spoilt(str(spoilt[0]))
        await self._place.finish([effect_of(event) for event, _ in new])


def effect_of(event: RawEvent) -> Effect:
    return Effect(event.id, event.subject, event.data["n"])
