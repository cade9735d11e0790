"""A station: where pizzas are cooked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Station:
    """`capacity`: pizzas that it can cook at once (invariant I8)."""

    id: str
    capacity: int
