"""A worker on the priority queue: claims one entry at a time, several times over, and renews its leases."""

import asyncio
from datetime import timedelta

from redis.exceptions import RedisError
from rediscore.errors import StaleLease
from rediscore.queue import Claim, PriorityQueue

from tests.chaos.harness_ledger import Effect, Ledger
from tests.chaos.harness_run import LEASE, Run, sort_of
from tests.chaos.harness_work import Spoilt, Workplace, behave

AT_ONCE = 4
_PAUSE = 0.2


async def main(run: Run, name: str, stop: asyncio.Event) -> None:
    connections = run.connect()
    place = Workplace(Ledger(run.file("queue.db"), name), connections, run.prefix)
    worker = QueueWorker(run.queue(connections), place, name)
    try:
        await asyncio.gather(*(worker.work(stop) for _ in range(AT_ONCE)))
    finally:
        await connections.aclose()


class QueueWorker:
    def __init__(self, queue: PriorityQueue, place: Workplace, name: str) -> None:
        self._queue = queue
        self._place = place
        self._name = name

    async def work(self, stop: asyncio.Event) -> None:
        """Work until told to stop; whatever Redis does, go on."""
        while not stop.is_set():
            try:
                claim = await self._queue.claim_wait(self._name, wait=timedelta(seconds=0.5))
                if claim is not None:
                    await self._handle(claim)
            except StaleLease:
                continue  # another has it
            except (RedisError, OSError):
                await asyncio.sleep(_PAUSE)

    async def _handle(self, claim: Claim) -> None:
        until_ms = round(claim.lease_until.timestamp() * 1000)
        ledger = self._place.ledger
        await asyncio.to_thread(
            ledger.held, claim.entry_id, claim.token, until_ms - round(LEASE * 1000), until_ms
        )
        verdict, attempt = await self._place.begin(claim.entry_id, claim.token)
        try:
            if verdict == "go":
                await self._hold(claim, attempt)
        except Spoilt as error:
            await asyncio.to_thread(ledger.giving_up, claim.entry_id, claim.token)
            await self._queue.nack(claim.entry_id, claim.token, reason=str(error))
            return
        if verdict != "stale":
            await asyncio.to_thread(ledger.giving_up, claim.entry_id, claim.token)
            await self._queue.ack(claim.entry_id, claim.token)

    async def _hold(self, claim: Claim, attempt: int) -> None:
        """Do the work and renew the lease meanwhile. Raises: StaleLease, with the work cancelled."""
        doing = asyncio.create_task(self._do(claim, attempt))
        try:
            while not (await asyncio.wait({doing}, timeout=LEASE / 3))[0]:
                try:
                    until = await self._queue.extend(claim.entry_id, claim.token)
                except (RedisError, OSError):
                    continue  # the ledger decides, should the lease be gone
                await asyncio.to_thread(
                    self._place.ledger.extended,
                    claim.entry_id,
                    claim.token,
                    round(until.timestamp() * 1000),
                )
            doing.result()
        finally:
            doing.cancel()
            await asyncio.wait({doing})

    async def _do(self, claim: Claim, attempt: int) -> None:
        await behave(sort_of(claim.entry_id), attempt)
        await self._place.finish([Effect(claim.entry_id, token=claim.token)])
