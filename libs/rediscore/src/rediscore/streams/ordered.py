"""Ordered mode: one active reader per partition; what is pending first, then what is new."""

import logging
from itertools import groupby

from redis.exceptions import RedisError

from rediscore.retry import TRANSIENT
from rediscore.scripts import Script
from rediscore.streams.checks import CheckResult
from rediscore.streams.lease import PartitionLease
from rediscore.streams.pending import PendingEntry, PendingList
from rediscore.streams.reader import TROUBLE, Reader, pause
from rediscore.streams.session import ReaderSettings, Session, Stopping
from rediscore.streams.shares import FairShare
from rediscore.streams.work import Work

log = logging.getLogger(__name__)

_READ = Script.load("rediscore.streams.lua", "read.lua")

# All replicas read under one name: a lease says who is active, and no names of dead ones pile up.
ORDERED_CONSUMER = "reader"
_STANDBY_POLL = 0.5
_QUIET = 1.5


class OrderedReader(Reader):
    """Reader of one partition while it holds the lease, stand-by while another does."""

    def __init__(self, settings: ReaderSettings, *, owner: str, share: FairShare | None) -> None:
        super().__init__(settings)
        self._owner = owner
        self._share = share
        self._next: PartitionLease | None = None

    async def term(self, stopping: Stopping) -> None:
        """Ask for the lease when our share allows. With it read until it is lost or beyond our share; without
        it wait, half a second at most."""
        # The same lease object until it is ours: an answer lost on the way must not lock us out.
        lease = self._next = self._next or PartitionLease(
            self._settings.connections,
            self._settings.key("lease"),
            owner=self._owner,
            ttl=self._settings.lease_ttl,
            clock=self._settings.clock,
        )
        stream, share = self._settings.stream, self._share
        wait = await (lease.acquire() if share is None else share.acquire(stream, lease))
        if wait is None or wait:
            why = "Another instance reads." if wait else "This instance reads its share of the partitions."
            self.heard(CheckResult("standby", why))
            await stopping.within(min(wait or _STANDBY_POLL, _STANDBY_POLL))
            return
        try:
            await self._read_with(lease, stopping)
        finally:
            if share is not None:
                share.held.discard(stream)

    async def _read_with(self, lease: PartitionLease, stopping: Stopping) -> None:
        self._next = None
        session = self._session = Session(self._settings, lease)
        try:
            with stopping.part() as term:
                await session.run(self._read(session, lease), self._keep(lease, term), stopping=term)
        finally:
            self._session = None
            await self._release(lease)

    async def _read(self, session: Session, lease: PartitionLease) -> None:
        """Take entries in, for ever. After any trouble what is pending comes first again: the answer to
        a read may have been lost."""
        last: dict[str, bytes] | None = None
        failed = 0
        while True:
            try:
                if last is None:
                    last = await self._resync(session, lease)
                count = await session.room()
                room = count
                for stream, ids in (await self._read_new(session, lease, count)).items():
                    room -= len(ids)
                    if ids:
                        last[stream] = ids[-1]
                failed = 0
                if room > 0:
                    await self._wait_for_news(last)
            except (RedisError, OSError, TimeoutError) as error:
                last = None
                failed += 1
                self.trouble(error)
                await pause(TROUBLE.delay(failed))

    async def _resync(self, session: Session, lease: PartitionLease) -> dict[str, bytes]:
        last = await self.ensure_group()
        for pending in session.pending:
            await self._drain(session, lease, pending)
        return last

    async def _read_new(self, session: Session, lease: PartitionLease, count: int) -> dict[str, list[bytes]]:
        """Deliver new entries of both streams to us; returns their ids. One round trip, which extends the
        lease too."""
        asked = self._settings.clock.monotonic()
        reply = await _READ(
            self._settings.connections,
            keys=[*(source.stream for source in session.sources), lease.key],
            args=[lease.token, lease.ttl_ms, self._settings.group, self._settings.consumer, count],
        )
        if reply is None:
            raise lease.lost()
        lease.extended(asked)
        self.heard(CheckResult("reading"))
        ids = {}
        for source, entries in zip(session.sources, reply, strict=True):
            session.admit_entries(entries, source, asked=asked)
            ids[source.stream] = [entry_id for entry_id, _ in entries]
        return ids

    async def _wait_for_news(self, last: dict[str, bytes]) -> None:
        """Return when something newer is there, or after `block` seconds. Delivers nothing, so an answer
        that gets lost strands nothing."""
        client = self._settings.connections.blocking(self._settings.block)
        await client.xread(last, count=1, block=round(self._settings.block * 1000))  # type: ignore[arg-type]

    async def _drain(self, session: Session, lease: PartitionLease, pending: PendingList) -> None:
        """Take in all that is pending, in the order of the stream."""
        after: bytes | None = None
        while page := await pending.page(after, count=self._settings.prefetch):
            after = page[-1].entry_id
            prefix = pending.source.prefix
            unknown = [entry for entry in page if prefix + entry.entry_id not in session.known]
            for suspect, entries in groupby(unknown, key=self._is_suspect):
                if suspect:
                    await self._drain_alone(session, lease, pending, list(entries))
                else:
                    await self._drain_together(session, lease, pending, list(entries))

    async def _drain_together(
        self, session: Session, lease: PartitionLease, pending: PendingList, entries: list[PendingEntry]
    ) -> None:
        while entries:
            count = await session.room()
            self._admit(session, await pending.claim(entries[:count], lease=lease))
            del entries[:count]

    def _admit(self, session: Session, works: list[Work]) -> None:
        session.admit(works, asked=self._settings.clock.monotonic())

    async def _drain_alone(
        self, session: Session, lease: PartitionLease, pending: PendingList, entries: list[PendingEntry]
    ) -> None:
        for entry in entries:
            await session.emptied()
            self._admit(session, await pending.claim([entry], lease=lease))
            await session.emptied()

    def _is_suspect(self, entry: PendingEntry) -> bool:
        # Whatever kills its reader takes the neighbours along, and they count a reclaim each time. From
        # half of the limit on it runs alone, so that only the culprit gets to the limit.
        return entry.deliveries > self._settings.retry.max_reclaims // 2

    async def _keep(self, lease: PartitionLease, term: Stopping) -> None:
        """Extend the lease when reading does not, as when memory is full; end the term when the partition is
        beyond our share."""
        while True:
            await pause(min(lease.ttl / 6, 1.0))
            try:
                if self._share is not None:
                    await self._share.refresh()
                    if self._share.surplus(self._settings.stream):
                        log.info("stream_partition_given_up", extra=self._where)
                        term.request(term.grace)
                if lease.due or self.silence >= _QUIET:
                    await lease.renew()
                    self.heard_again()
            except TRANSIENT:
                if not lease.held:
                    raise lease.lost() from None

    async def _release(self, lease: PartitionLease) -> None:
        try:
            await lease.release()
        except RedisError as error:
            # It runs out by itself.
            log.warning("stream_lease_not_released", extra={**self._where, "error": type(error).__name__})
