"""What a load has done so far: one line per request, and figures over them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

PERCENTILES: Final = (50, 90, 95, 99)
ENDS: Final = ("delivered", "cancelled")


@dataclass(slots=True)
class Sent:
    """One order that was sent; times in seconds since the start of the load.

    `due` is when the plan wanted it sent: latencies count from there, so that a load that falls behind
    does not look fast (coordinated omission).
    """

    due: float
    answered: float | None = None
    outcome: str = "waiting"
    """`accepted`, `refused` (429), `unavailable` (503), `sold_out` (422), `failed` (others), `unanswered`."""
    order_id: str | None = None
    status: str = ""
    ended: float | None = None
    retry_after: float | None = None

    @property
    def latency(self) -> float | None:
        return None if self.answered is None else self.answered - self.due


@dataclass(slots=True)
class Record:
    """The whole load."""

    rate: float
    duration: float
    sent: list[Sent] = field(default_factory=list)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(one.outcome for one in self.sent)

    @property
    def accepted(self) -> list[Sent]:
        return [one for one in self.sent if one.outcome == "accepted"]

    @property
    def open(self) -> list[Sent]:
        """Accepted and not yet at an end."""
        return [one for one in self.accepted if one.status not in ENDS]

    @property
    def statuses(self) -> Counter[str]:
        return Counter(one.status or "pending" for one in self.accepted)

    def accept_seconds(self) -> list[float]:
        return [one.latency for one in self.accepted if one.latency is not None]

    def delivery_seconds(self) -> list[float]:
        return [
            one.ended - one.due for one in self.sent if one.ended is not None and one.status == "delivered"
        ]


def percentiles(values: Iterable[float]) -> dict[int, float]:
    """By the nearest rank; empty without values."""
    ordered = sorted(values)
    return {
        p: ordered[min(len(ordered) - 1, -(-p * len(ordered) // 100) - 1)] for p in PERCENTILES if ordered
    }


def by_second(sent: Sequence[Sent], seconds: int) -> list[list[Sent]]:
    """The requests of each second of the plan."""
    slots: list[list[Sent]] = [[] for _ in range(max(1, seconds))]
    for one in sent:
        slots[min(len(slots) - 1, int(one.due))].append(one)
    return slots
