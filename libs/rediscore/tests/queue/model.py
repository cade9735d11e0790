"""The queue as a dictionary of entries: its rules in plain words, for tests to compare with."""

from collections import Counter
from dataclasses import dataclass, field

HEAD_START = {"standard": 0, "express": 600_000}
LEASE, MEMORY, RETENTION = 10_000, 60_000, 300_000
CAPACITY, MAX_ATTEMPTS, MAX_RECOVERIES = 6, 3, 3
PAUSES = [1_000, 2_000, 4_000]


@dataclass
class Entry:
    """What the model knows of one id."""

    state: str
    rank: int
    sequence: int
    since: int
    """Time of the event that the state waits for, or of its beginning."""
    priority: str = "standard"
    entered: int = 0
    failures: int = 0
    recoveries: int = 0
    token: int | None = None
    claim_id: str | None = None
    ended: tuple[int, str] | None = None


@dataclass
class Model:
    now: int = 1_800_000_000_000
    latest: int = 0
    wiped_at: int = 0
    clock: int = 0
    sequence: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    """Lives of each id: by an add or a redrive."""
    over: Counter[str] = field(default_factory=Counter)
    """Ends of them: acked, dead or removed."""

    def of(self, *states: str) -> list[str]:
        return [entry_id for entry_id, entry in self.entries.items() if entry.state in states]

    def settle(self) -> int:
        for entry in self.entries.values():
            if entry.state == "delayed" and entry.since <= self.now:
                entry.state = "ready"
        expired = [e for e in self.entries.values() if e.state == "leased" and e.since <= self.now]
        for entry in expired:
            entry.recoveries += 1
            self.end(entry, "expired")
            if entry.recoveries > MAX_RECOVERIES:
                self.die(entry)
        for entry_id, entry in list(self.entries.items()):
            kept = {"done": MEMORY, "dead": RETENTION}.get(entry.state)
            if kept is not None and entry.since <= self.now - kept:
                del self.entries[entry_id]
        return len(expired)

    def enter(self, entry: Entry, delay: int) -> None:
        self.clock = max(self.now, self.clock)
        self.sequence += 1
        entry.sequence, entry.entered = self.sequence, self.clock + delay
        entry.rank = entry.entered - HEAD_START[entry.priority]
        entry.state, entry.since = ("delayed", self.now + delay) if delay else ("ready", self.now)

    def die(self, entry: Entry) -> None:
        entry.state, entry.since = "dead", self.now
        self.over[next(i for i in self.entries if self.entries[i] is entry)] += 1

    def knows(self, entry_id: str) -> bool:
        """Whether it is held or remembered; what is done for long may be there until a claim forgets it."""
        entry = self.entries.get(entry_id)
        return entry is not None and not (entry.state == "done" and entry.since <= self.now - MEMORY)

    def answered(self, entry: Entry) -> None:
        """Who ends one entry of a claim has its answer: the claim id is worth nothing any more."""
        for other in self.entries.values():
            if other is not entry and entry.claim_id is not None and other.claim_id == entry.claim_id:
                other.claim_id = None
        entry.claim_id = None

    def end(self, entry: Entry, how: str) -> None:
        assert entry.token is not None
        self.answered(entry)
        entry.ended, entry.state = (entry.token, how), "ready"

    def order(self) -> list[str]:
        return sorted(self.of("ready"), key=lambda i: (self.entries[i].rank, self.entries[i].sequence))

    def first(self, most: int) -> list[str]:
        """What one claim gets: whose lease ran out before comes alone."""
        order = self.order()
        suspects = [self.entries[entry_id].recoveries > 0 for entry_id in order]
        alone = 1 if suspects[:1] == [True] else ([*suspects, True]).index(True)
        return order[: min(most, alone)]
