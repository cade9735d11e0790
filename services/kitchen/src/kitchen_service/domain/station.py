"""A station: where pizzas are cooked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

ON_DUTY_FOR = timedelta(seconds=60)
"""Whoever works at a station is heard of more often than that, also while there is nothing to cook."""


class Skill(StrEnum):
    """What a pizza needs of the station that cooks it."""

    OVEN = "oven"
    GRILL = "grill"


ALL_SKILLS = frozenset(Skill)


@dataclass(frozen=True, slots=True)
class Station:
    """`capacity`: pizzas that it can cook at once (invariant I8). `seen_at`: when it last asked for work."""

    id: str
    capacity: int
    skills: frozenset[Skill] = ALL_SKILLS
    open: bool = True
    seen_at: datetime | None = None

    def on_duty(self, now: datetime) -> bool:
        return self.open and self.seen_at is not None and now - self.seen_at < ON_DUTY_FOR
