"""Those who know how a run ended for one kind of work: what is not at rest, what was lost, what is broken."""

from collections import Counter
from collections.abc import Collection
from itertools import groupby, pairwise
from typing import Any, Protocol

from rediscore.client import RedisConnections
from rediscore.queue import PriorityQueue
from rediscore.tasks import TaskDead
from rediscore.tasks.message import value_of

from tests.chaos import harness_rules as rules
from tests.chaos.harness_ledger import Hold, Ledger
from tests.chaos.harness_load import Load
from tests.chaos.harness_run import Run, sort_of
from tests.chaos.harness_work import Workplace

PAGE = 500


class Witness(Protocol):
    """Of one kind of work."""

    kind: str

    async def restless(self) -> list[str]:
        """What is not at rest yet, as sentences; the item comes first where it is one."""
        ...

    async def lost(self) -> Collection[str]:
        """Accepted items without an end that Redis does not know: their owner sends them again."""
        ...

    async def broken(self) -> list[str]:
        """What must hold at rest and does not."""
        ...

    def redelivered(self) -> int:
        """How many items that never fail were begun more than once."""
        ...

    def journey(self, item: str) -> list[tuple[float, str]]:
        """What is known of one item."""
        ...


class QueueWitness:
    """Of the entries of a priority queue, worked on under fencing tokens."""

    kind = "queue"

    def __init__(self, run: Run, connections: RedisConnections, load: Load) -> None:
        self._run = run
        self._load = load
        self._queue = self._queue_of(load)
        self._ledger = Ledger(run.file(f"{self.kind}.db"))
        prefix = run.prefix if self.kind == "queue" else f"{run.prefix}:{self.kind}"
        self._place = Workplace(self._ledger, connections, prefix)

    def _queue_of(self, load: Load) -> PriorityQueue:
        return load.queue

    async def restless(self) -> list[str]:
        wrong = []
        for state in ("ready", "delayed", "leased"):
            entries = await self._queue.peek(20, state=state)
            wrong += [f"{entry.entry_id}: still {state}" for entry in entries]
        return wrong or [f"{item}: no end" for item in await self.lost()]

    async def lost(self) -> Collection[str]:
        effects, letters = await self._effects(), await self._letters()
        open_items = [i for i in self._load.accepted[self.kind] if i not in effects and i not in letters]
        missing: list[str] = []
        for first in range(0, len(open_items), PAGE):
            page = open_items[first : first + PAGE]
            known = await self._queue.contains(page)
            missing += [item for item, found in zip(page, known, strict=True) if not found]
        return missing

    async def broken(self) -> list[str]:
        accepted, letters = self._load.accepted[self.kind], await self._letters()
        return [
            *rules.one_end(
                accepted, await self._effects(), Counter(letters.keys()), rules.lost_workers(letters)
            ),
            *rules.meant_end(accepted, letters),
            *rules.with_reasons(letters),
            *rules.one_holder(self._holds()),
            *(await self._queue.audit()).faults,
        ]

    def redelivered(self) -> int:
        attempts = self._ledger.attempts().items()
        return sum(times > 1 and sort_of(item) in ("ok", "redis") for item, times in attempts)

    def takeovers(self) -> int:
        """How often a lease that nobody gave up went to another."""
        holds = sorted(self._ledger.holds(), key=lambda hold: (hold.item, hold.token))
        return sum(
            not before.ended and before.worker != after.worker
            for _, group in groupby(holds, key=lambda hold: hold.item)
            for before, after in pairwise(group)
        )

    def journey(self, item: str) -> list[tuple[float, str]]:
        return self._ledger.journey(item)

    async def _effects(self) -> Counter[str]:
        found = Counter(effect.item for effect in self._ledger.effects())
        found.update(await self._place.in_redis())
        return found

    def _holds(self) -> list[Hold]:
        holds = self._ledger.holds()
        # Where an extension may be lost nobody surely holds anything; tokens grow all the same.
        return [hold._replace(ended=True) for hold in holds] if self._run.loses else holds

    async def _letters(self) -> dict[str, str]:
        """Reason by dead item."""
        letters: dict[str, str] = {}
        while page := await self._queue.peek(PAGE, state="dead", skip=len(letters)):
            letters |= {entry.entry_id: entry.reason for entry in page}
        return letters


class TasksWitness(QueueWitness):
    """Of tasks: a queue whose users see results instead of tokens."""

    kind = "tasks"

    def _queue_of(self, load: Load) -> PriorityQueue:
        return load.tasks.queue

    async def broken(self) -> list[str]:
        wrong = await super().broken()
        letters = await self._letters()
        for item in self._load.accepted[self.kind]:
            # What loses its workers too often dies without one of them there to say so. And a call that was
            # made, run and answered within the second that Redis lost has had its effect in SQL alone.
            answers = ("dead", "none") if item in letters else (item, "none") if self._run.loses else (item,)
            if (said := await self._result(item)) not in answers:
                wrong.append(f"{item}: its result is {said!r}")
        return wrong

    async def _result(self, item: str) -> Any:
        kept = await self._queue.result(item)
        try:
            return "none" if kept is None else value_of(kept)
        except TaskDead:
            return "dead"
