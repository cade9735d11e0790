"""Registration and life of the readers of one service."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.clock import Clock, SystemClock
from rediscore.keys import KeySpace
from rediscore.streams import integration
from rediscore.streams.backlog import read_backlog
from rediscore.streams.checks import CheckResult
from rediscore.streams.competing import CompetingReader
from rediscore.streams.dead_letter_box import DeadLetterBox
from rediscore.streams.metrics import NoMetrics, PrometheusMetrics, StreamMetrics
from rediscore.streams.ordered import ORDERED_CONSUMER, OrderedReader
from rediscore.streams.partitions import hash_tag, stream_names
from rediscore.streams.policy import RetryPolicy
from rediscore.streams.reader import Reader, pause
from rediscore.streams.session import ReaderSettings, Stopping
from rediscore.streams.shares import FairShare
from rediscore.streams.subscriber import Mode, Subscriber

if TYPE_CHECKING:
    from faststream.redis import RedisBroker
    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)

_BACKLOG_EVERY = 5.0
# For the last acknowledgements and giving leases back, each bounded by a second or a socket timeout.
_LAST_WORDS = 5.0


class ReliableStreams:
    """All streams that one service reads, under one group.

    Making it does no I/O. The keys it owns beside the streams: a lease per partition (runs out after
    `lease_ttl`), the replicas of a stream with partitions (as long), a hash of failures per partition
    (entries leave it with their ack; runs out a day after the last failure), and what was sent again to
    this group (`DeadLetterBox`; entries leave it with their ack).

    Args:
        group: name of the consumer group, that of the service.
        keys: where the keys above live.
        consumer: name of this instance; must differ between instances.
        lease_ttl: seconds until the partition of a dead reader is free.
        min_idle: competing mode: seconds until what a dead consumer held is taken over.
        dead_length: dead letters kept per stream.
        registry: for Prometheus metrics; none without it.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        group: str,
        keys: KeySpace,
        consumer: str | None = None,
        lease_ttl: float = 5.0,
        min_idle: float = 15.0,
        block: float = 0.8,
        dead_length: int = 10_000,
        registry: "CollectorRegistry | None" = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.group = group
        self.consumer = consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._connections = connections
        self._keys = keys
        self._lease_ttl = lease_ttl
        self._min_idle = min_idle
        self._block = block
        self._dead_length = dead_length
        self._metrics = PrometheusMetrics(registry) if registry is not None else None
        self._clock = clock or SystemClock()
        self._random = random
        self._subscribers: list[Subscriber] = []
        self._shares: list[FairShare] = []
        self._published: list[integration.Documented] = []
        self._stopping: Stopping | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sampling: asyncio.Task[None] | None = None

    @cached_property
    def broker(self) -> "RedisBroker":
        """The FastStream broker behind the injection: its context holds what `Context` finds, its provider
        what tests override. It is never started."""
        return integration.new_broker()

    def subscriber(
        self,
        stream: str,
        *,
        partitions: int = 1,
        mode: Mode = "ordered",
        batch: bool = False,
        retry: RetryPolicy | None = None,
        prefetch: int = 100,
        concurrency: int = 16,
        ignore: Collection[str] = (),
    ) -> Subscriber:
        """Declare that this service reads a stream; before `start`.

        Args:
            partitions: each is read by one of the instances in ordered mode, all of them by as many each.
            mode: `ordered`: one instance reads a partition at a time; `competing`: all do, in no order.
            batch: handlers get up to `prefetch` events at once, one batch at a time.
            prefetch: most entries in memory per partition. Ten times as many when the rest waits behind
                events that are tried again.
            concurrency: most handlers at once per partition.
            ignore: event types to acknowledge unseen.

        Raises: ValueError on a cluster for a name without a hash tag, such as `{orders}.events`: the
            stream and its dead letters must share a slot.
        """
        if self._tasks:
            raise RuntimeError("Declare subscribers before start().")
        if self._connections.settings.cluster and "{" not in stream:
            raise ValueError(f"On a cluster a stream's name needs a hash tag: {{{stream}}}, not {stream}.")
        subscriber = Subscriber(
            stream,
            broker=lambda: self.broker,
            partitions=partitions,
            mode=mode,
            batch=batch,
            retry=retry or RetryPolicy(),
            prefetch=prefetch,
            concurrency=1 if batch else concurrency,
            ignore=ignore,
        )
        self._subscribers.append(subscriber)
        return subscriber

    def publishes(self, stream: str, payloads: Mapping[str, Any]) -> None:
        """Show in the AsyncAPI document that this service publishes these types (type → payload model)."""
        self._published.append(integration.Documented(stream, payloads))

    async def start(self) -> None:
        """Start reading and return at once; while Redis is away the readers keep trying."""
        if self._tasks:
            raise RuntimeError("These streams run already.")
        stopping = self._stopping = Stopping()
        for subscriber in self._subscribers:
            share = self._share_of(subscriber)
            subscriber.readers = tuple(
                self._reader(subscriber, stream, share)
                for stream in stream_names(subscriber.stream, subscriber.partitions)
            )
            self._tasks += [
                asyncio.create_task(reader.run(stopping), name=f"stream-{subscriber.stream}")
                for reader in subscriber.readers
            ]
        if self._metrics is not None:
            self._sampling = asyncio.create_task(self._sample(self._metrics), name="stream-backlog")

    async def stop(self, grace: float = 10.0) -> None:
        """Stop reading, let running handlers end, acknowledge, give leases back.

        Handlers that take longer than `grace` seconds are cancelled; their events stay pending and come
        first at the next reader, like those that had not begun.
        """
        if self._stopping is None or not self._tasks:
            return
        await self._leave()
        self._stopping.request(grace)
        if self._sampling is not None:
            self._sampling.cancel()
        tasks = [*self._tasks, *filter(None, [self._sampling])]
        _, late = await asyncio.wait(tasks, timeout=grace + _LAST_WORDS)
        for task in late:
            log.error("stream_reader_cut_off", extra={"task": task.get_name()})
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks, self._sampling, self._stopping = [], None, None

    def dead_letter_boxes(self) -> dict[str, DeadLetterBox]:
        """The dead letters of each partition that this service reads, by stream; other groups' are in them
        too, so ask with `group=`. No round trip."""
        return {
            name: DeadLetterBox(self._connections, name, clock=self._clock)
            for subscriber in self._subscribers
            for name in stream_names(subscriber.stream, subscriber.partitions)
        }

    def checks(self) -> dict[str, CheckResult]:
        """State of each partition that this service reads, by stream. No round trip."""
        results: dict[str, CheckResult] = {}
        for subscriber in self._subscribers:
            names = stream_names(subscriber.stream, subscriber.partitions)
            for index, name in enumerate(names):
                results[name] = (
                    subscriber.readers[index].check()
                    if subscriber.readers
                    else CheckResult("down", "It has not started.")
                )
        return results

    def asyncapi(self, title: str, version: str) -> dict[str, Any]:
        """The AsyncAPI 3.0 document of what this service reads and publishes."""
        receives = [
            integration.Documented(subscriber.stream, subscriber.routes.payloads, self.group)
            for subscriber in self._subscribers
        ]
        return integration.asyncapi_document(title, version, receives=receives, sends=self._published)

    def _share_of(self, subscriber: Subscriber) -> FairShare | None:
        if subscriber.mode != "ordered" or subscriber.partitions == 1:
            return None
        stream = subscriber.stream
        share = FairShare(
            self._connections,
            self._keys.key("streams", "replicas", self.group, tag=hash_tag(stream)),
            member=self.consumer,
            ttl=self._lease_ttl,
            partitions=subscriber.partitions,
            clock=self._clock,
        )
        self._shares.append(share)
        return share

    async def _leave(self) -> None:
        shares, self._shares = self._shares, []
        for share in shares:
            try:
                async with asyncio.timeout(1.0):
                    await share.leave()
            except (RedisError, OSError, TimeoutError) as error:
                # It counts until its time is over.
                log.warning("stream_share_not_left", extra={"error": type(error).__name__})

    def _reader(self, subscriber: Subscriber, stream: str, share: FairShare | None) -> Reader:
        ordered = subscriber.mode == "ordered"
        settings = ReaderSettings(
            connections=self._connections,
            keys=self._keys,
            stream=stream,
            group=self.group,
            consumer=ORDERED_CONSUMER if ordered else self.consumer,
            routes=subscriber.routes,
            retry=subscriber.retry,
            on_dead=subscriber.on_dead,
            prefetch=subscriber.prefetch,
            concurrency=subscriber.concurrency,
            lease_ttl=self._lease_ttl,
            block=self._block,
            min_idle=self._min_idle,
            dead_length=self._dead_length,
            clock=self._clock,
            metrics=self._metrics_of(subscriber.stream),
            random=self._random,
        )
        if ordered:
            return OrderedReader(settings, owner=self.consumer, share=share)
        return CompetingReader(settings)

    def _metrics_of(self, stream: str) -> StreamMetrics:
        return self._metrics.of(stream, self.group) if self._metrics is not None else NoMetrics()

    async def _sample(self, metrics: PrometheusMetrics) -> None:
        while True:
            for subscriber in self._subscribers:
                streams: Sequence[str] = stream_names(subscriber.stream, subscriber.partitions)
                try:
                    backlog = await read_backlog(self._connections, streams, self.group)
                except RedisError as error:
                    log.debug("stream_backlog_unknown", extra={"error": type(error).__name__})
                    continue
                metrics.of(subscriber.stream, self.group).backlog(backlog)
            await pause(_BACKLOG_EVERY)
