"""What one chaos run is: where its servers and files are, its limits, and the sorts of its items.

Every process of a run gets the same `Run` and builds its queue, tasks, streams and databases from it.
"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from pizzeria_chassis.database import Database
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.queue import PriorityQueue
from rediscore.retry import Backoff
from rediscore.streams import ReliableStreams, RetryPolicy
from rediscore.testing import patient_settings

LEASE: Final = 1.0
MAX_ATTEMPTS: Final = 3
MAX_RECLAIMS: Final = 5
"""Of an item that takes its workers along. The innocent survive it: bad luck does not strike six times."""

UPSTREAM, APPLIER, BATCHER = "kitchen", "order", "analytics"
"""Who tells events over the outbox, and who consumes them: one by one, and in batches."""

Kind = Literal["queue", "tasks", "streams", "relay"]
KINDS: Final[tuple[Kind, ...]] = ("queue", "tasks", "streams", "relay")

ORDERED: Final = ("ordered", "ordered-batch")
COMPETING: Final = ("competing", "competing-batch")

RETRY: Final = RetryPolicy(
    max_attempts=MAX_ATTEMPTS, backoff=Backoff(0.02, 0.2), max_reclaims=MAX_RECLAIMS, timeout=10.0
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        databases: address by service.
        loses: whether Redis may lose a second of what it took.
        killers: whether streams and relay carry items that end their process too. Each costs its readers
            a lease and a takeover per life, so a short run has them in the queue and the tasks alone.
    """

    redis_url: str
    folder: str
    databases: dict[str, str]
    prefix: str = "chaos"
    loses: bool = False
    killers: bool = True

    @property
    def delivers(self) -> tuple[str, ...]:
        """The plain streams. What Redis loses, an ordered stream gets back in order from a relay alone."""
        return COMPETING if self.loses else (*ORDERED, *COMPETING)

    def connect(self) -> RedisConnections:
        """Connections as a service has them."""
        return RedisConnections(patient_settings(self.redis_url))

    @property
    def keys(self) -> KeySpace:
        return KeySpace(self.prefix)

    def queue(self, connections: RedisConnections) -> PriorityQueue:
        return PriorityQueue(
            connections,
            "work",
            keys=self.keys,
            head_start={"standard": timedelta(0), "express": timedelta(seconds=5)},
            lease=timedelta(seconds=LEASE),
            max_attempts=MAX_ATTEMPTS,
            backoff=Backoff(0.02, 0.2),
            max_recoveries=MAX_RECLAIMS,
        )

    def streams(self, connections: RedisConnections, group: str = "workers") -> ReliableStreams:
        return ReliableStreams(connections, group=group, keys=self.keys, lease_ttl=LEASE, min_idle=1.5)

    def stream(self, name: str) -> str:
        return f"{self.prefix}.{name}"

    def database(self, service: str) -> Database:
        return Database(self.databases[service], source=f"/pizzeria/{service}")

    def file(self, name: str) -> Path:
        return Path(self.folder) / name

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Run":
        return Run(**json.loads(text))


def sort_of(item: str) -> str:
    """What an item does to its worker; its name begins with it.

    `ok` and `redis` (its effect is in Redis) end well, `slow` takes longer than a lease, `flaky` fails at
    first, `poison` always, and `killer` ends its process by SIGKILL.
    """
    return item.partition("-")[0]
