"""The stock of one ingredient, in portions.

Invariant I4: initial + restocked = in stock + reserved + consumed, and nothing is ever negative.
Each movement is also a line in a ledger that is only added to; the ledger folds to the stock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from kitchen_service.domain.errors import OutOfStock


class MovementKind(StrEnum):
    RESERVE = "reserve"
    RELEASE = "release"
    CONSUME = "consume"
    RESTOCK = "restock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One line of the ledger.

    `reference` names the order, ticket or request: a kind moves an ingredient once per reference.
    """

    ingredient: str
    kind: MovementKind
    quantity: int
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    ingredient: str
    initial: int
    low_below: int
    in_stock: int
    restocked: int = 0
    reserved: int = 0
    consumed: int = 0

    def __post_init__(self) -> None:
        if min(self.in_stock, self.reserved, self.consumed) < 0 or not self.balanced:
            raise ValueError(f"The stock of {self.ingredient} does not add up: {self}.")

    @property
    def balanced(self) -> bool:
        return self.initial + self.restocked == self.in_stock + self.reserved + self.consumed

    @property
    def low(self) -> bool:
        return self.in_stock < self.low_below

    def move(self, kind: MovementKind, quantity: int) -> "Stock":
        """The stock after one movement.

        Args:
            quantity: portions, at least 1.
        Raises: OutOfStock when more is reserved than there is; ValueError when more is released or
            consumed than was reserved (an error of ours).
        """
        if quantity < 1:
            raise ValueError(f"A movement of {self.ingredient} needs at least one portion, not {quantity}.")
        match kind:
            case MovementKind.RESERVE:
                if quantity > self.in_stock:
                    raise OutOfStock((self.ingredient,))
                return replace(self, in_stock=self.in_stock - quantity, reserved=self.reserved + quantity)
            case MovementKind.RELEASE:
                return replace(self, in_stock=self.in_stock + quantity, reserved=self.reserved - quantity)
            case MovementKind.CONSUME:
                return replace(self, reserved=self.reserved - quantity, consumed=self.consumed + quantity)
            case MovementKind.RESTOCK:
                return replace(self, in_stock=self.in_stock + quantity, restocked=self.restocked + quantity)


def short_of(needed: Mapping[str, int], stocks: Mapping[str, Stock]) -> tuple[str, ...]:
    """The ingredients of which there is too little, sorted; one that is not kept at all is too little."""
    return tuple(sorted(i for i, n in needed.items() if i not in stocks or stocks[i].in_stock < n))


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sum of several lists of ingredients."""
    result: dict[str, int] = {}
    for part in parts:
        for ingredient, quantity in part.items():
            result[ingredient] = result.get(ingredient, 0) + quantity
    return result
