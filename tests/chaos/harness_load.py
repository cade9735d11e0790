"""Producers: they send until they are told that it was taken, so what they sent may be there twice."""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.exceptions import RedisError
from rediscore.client import RedisConnections
from rediscore.queue import PriorityQueue
from rediscore.streams import CloudEvent, StreamPublisher
from rediscore.tasks import Task, Tasks

from tests.chaos.harness_ledger import Effect
from tests.chaos.harness_run import ORDERED, Run
from tests.chaos.program_tasks import declare

SUBJECTS: Final = 6
_SORTS: Final = {3: "poison", 7: "flaky", 11: "slow", 5: "redis", 15: "redis", 25: "redis", 35: "redis"}
_PERIOD: Final = 40
_KILLER_EVERY: Final = 500
_AGAIN: Final = 0.05


def items(kind: str, *, killers: bool) -> Iterator[str]:
    """Names of items without end: mostly good ones, some of each other sort, a killer now and then."""
    for number in itertools.count():
        sort = _SORTS.get(number % _PERIOD, "ok")
        if killers and number % _KILLER_EVERY == 2:
            sort = "killer"
        yield f"{sort}-{kind}-{number}"


class Load:
    """All producers of a run but the writers of the outbox, which are processes.

    Attributes:
        accepted: what was taken, by kind or stream, in the order of acceptance. The owner's truth.
    """

    def __init__(self, run: Run, connections: RedisConnections, chance: random.Random, rate: float) -> None:
        self.accepted: dict[str, dict[str, Effect]] = defaultdict(dict)
        self.queue: PriorityQueue = run.queue(connections)
        self.tasks: Tasks
        self.job: Task[[str], str]
        self.tasks, self.job = declare(run, "load")
        self._publisher = StreamPublisher(connections)
        self._run = run
        self._chance = chance
        self._rate = rate

    async def produce(self, seconds: float) -> None:
        """Send at about `rate` items per second and kind."""
        end = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send("queue", True, self.enqueue, end))
            group.create_task(self._send("tasks", True, self.call, end))
            for stream in self._run.delivers:
                # A killer takes its whole batch along, and competitors do not try suspects alone.
                killers = self._run.killers and stream != "competing-batch"
                group.create_task(self._send(stream, killers, self.publish, end))

    async def _send(
        self, kind: str, killers: bool, send: Callable[[str, Effect], Awaitable[Any]], end: float
    ) -> None:
        counts = [0] * SUBJECTS
        for item in items(kind, killers=killers):
            if asyncio.get_running_loop().time() >= end:
                return
            subject = self._chance.randrange(SUBJECTS)
            counts[subject] += 1
            effect = Effect(item, f"s-{subject}", counts[subject])
            await until_taken(lambda effect=effect: send(kind, effect))  # type: ignore[misc]
            self.accepted[kind][item] = effect
            await asyncio.sleep(self._chance.uniform(0, 2 / self._rate))

    async def enqueue(self, _: str, effect: Effect) -> None:
        delay = timedelta(seconds=0.3) if effect.n % 10 == 0 else None
        priority = "express" if effect.n % 3 == 0 else "standard"
        await self.queue.add(effect.item, effect.item.encode(), priority=priority, delay=delay)

    async def call(self, _: str, effect: Effect) -> None:
        countdown = timedelta(seconds=0.3) if effect.n % 10 == 0 else None
        await self.job.apply_async([effect.item], task_id=effect.item, countdown=countdown)

    async def publish(self, stream: str, effect: Effect) -> None:
        event = CloudEvent[dict[str, Any]](
            id=effect.item,
            source="load",
            type="chaos.item.v1",
            subject=effect.subject,
            time=datetime.now(UTC),
            data={"n": effect.n},
        )
        await self._publisher.publish(self._run.stream(stream), [event])

    async def send_again(self, kind: str, item: str) -> None:
        """What the owner does with an accepted item that Redis does not know any more."""
        assert kind not in ORDERED, "only a relay may add to an ordered stream what it has lost"
        send = {"queue": self.enqueue, "tasks": self.call}.get(kind, self.publish)
        await until_taken(lambda: send(kind, self.accepted[kind][item]))

    async def aclose(self) -> None:
        await self.tasks.aclose()
        await self.tasks.connections.aclose()


async def until_taken(send: Callable[[], Awaitable[Any]]) -> None:
    """Send until there is an answer: at least once."""
    while True:
        try:
            await send()
        except (RedisError, OSError, TimeoutError):
            await asyncio.sleep(_AGAIN)
        else:
            return
