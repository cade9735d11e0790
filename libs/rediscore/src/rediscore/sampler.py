"""What cannot be counted but must be asked: the server's memory and clients, the depth of queues."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from redis.exceptions import RedisError

from rediscore.client import RedisConnections
from rediscore.metrics import Meter, Metrics
from rediscore.queue import PriorityQueue
from rediscore.transport import Pool

_INFO = {
    "used_memory": "memory_used_bytes",
    "maxmemory": "memory_max_bytes",
    "connected_clients": "connected_clients",
    "evicted_keys": "evicted_keys",
}
_QUEUE = {
    "ready": "ready_entries",
    "delayed": "delayed_entries",
    "leased": "leased_entries",
    "dead": "dead_entries",
    "oldest_age_seconds": "oldest_age_seconds",
}


class RedisSampler:
    """Asks the server every now and then and shows the answers as gauges.

    What is not known (no sample yet, the server is away) is NaN, so nobody takes an old value for a new
    one; `up` says whether the last sample succeeded. An outage costs samples, never the sampler. Figures
    of a cluster are sums over its primaries. `pool_in_use` is read from memory when somebody looks.

    A sample takes one round trip per primary and one per queue.

    Args:
        every: pause between two samples.
        queues: whose depth and age are shown as well.
    """

    def __init__(
        self,
        connections: RedisConnections,
        metrics: Metrics,
        *,
        every: timedelta = timedelta(seconds=15),
        queues: Sequence[PriorityQueue] = (),
    ) -> None:
        if every <= timedelta(0):
            raise ValueError("A sampler needs a pause above 0 between two samples.")
        self._connections = connections
        self._every = every.total_seconds()
        self._meter = metrics.meter("redis", "server")
        self._server = _Gauges(self._meter, (*_INFO.values(), "up"))
        self._queues = [
            (queue, _Gauges(metrics.meter("queue", queue.name), [*_QUEUE.values()])) for queue in queues
        ]
        pool = connections.commands.connection_pool
        self._pools = [pool] if isinstance(pool, Pool) else []
        self._meter.gauge("pool_in_use", lambda: sum(pool.in_use for pool in self._pools))
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first sample is on its way then. No round trip."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="redis-sampler")

    async def stop(self) -> None:
        """End it; what it knew is unknown from then on."""
        task, self._task = self._task, None
        if task is not None:
            while not task.done():  # one cancellation may get lost in a library on Python 3.11
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)
            if not task.cancelled():
                task.result()  # it ended by itself: that was a bug, and this is where it is told
        self._forget()

    async def sample(self) -> None:
        """Ask once, now. Raises nothing when the server is away: the gauges say so."""
        try:
            self._server.set(await self._info() | {"up": 1.0})
        except (RedisError, OSError, TimeoutError):
            self._meter.counts["sample_failed"] += 1
            self._forget()
            self._server.set({"up": 0.0})
            return
        for queue, gauges in self._queues:
            try:
                stats = await queue.stats()
            except (RedisError, OSError, TimeoutError):
                self._meter.counts["sample_failed"] += 1
                gauges.forget()
            else:
                gauges.set({gauge: getattr(stats, field) or 0 for field, gauge in _QUEUE.items()})

    async def _run(self) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(self._every)

    async def _info(self) -> dict[str, float]:
        primaries = await self._connections.primaries()
        pools = [primary for primary in primaries if isinstance(primary, Pool)]
        self._pools = pools or self._pools
        sums = dict.fromkeys(_INFO.values(), 0.0)
        for primary in primaries:
            reply: bytes = await primary.execute("INFO")
            told = dict(line.partition(b":")[::2] for line in reply.splitlines())
            for field, gauge in _INFO.items():
                sums[gauge] += float(told[field.encode()])
        return sums

    def _forget(self) -> None:
        self._server.forget()
        for _, gauges in self._queues:
            gauges.forget()


class _Gauges:
    """Gauges of one meter that a sample writes and anybody reads."""

    def __init__(self, meter: Meter, names: Sequence[str]) -> None:
        self._values = dict.fromkeys(names, math.nan)
        for name in names:
            meter.gauge(name, partial(self._values.__getitem__, name))

    def set(self, values: Mapping[str, float]) -> None:
        self._values.update(values)

    def forget(self) -> None:
        self._values.update(dict.fromkeys(self._values, math.nan))
