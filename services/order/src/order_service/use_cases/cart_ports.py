"""What the use cases around carts need of the world."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from order_service.domain.cart import Cart


@dataclass(frozen=True)
class Owner:
    """Whose cart: a guest's, or, without a customer, that of whoever has its token. Never shows the token."""

    key: str
    customer_id: str | None = None

    @classmethod
    def guest(cls, customer_id: str) -> Self:
        return cls(customer_id, customer_id)

    @classmethod
    def bearer(cls, token: str) -> Self:
        return cls(hashlib.sha256(token.encode()).hexdigest())


@dataclass(frozen=True)
class FoundCart:
    """What was found, to be handed back on saving; without lines when there is none.

    `gone`: SQL knows of a cart that is not there: it was lost, or not used for too long.
    """

    cart: Cart
    version: int
    gone: bool = False
    touched_at: datetime | None = None


class Carts(Protocol):
    """All carts. All raise CartsUnavailable while Redis is away."""

    async def begin(self) -> str:
        """A cart of nobody; the token that it is found by."""
        ...

    async def find(self, owner: Owner) -> FoundCart:
        """The owner's cart. Raises CartGone when there is no cart of nobody under that token (any more)."""
        ...

    async def save(self, owner: Owner, found: FoundCart, cart: Cart) -> FoundCart:
        """Put `cart` in the place of what was found. Raises CartChanged when somebody else was faster."""
        ...

    async def touch(self, owner: Owner, found: FoundCart) -> None:
        """It is in use: its time begins anew."""
        ...

    async def forget(self, owner: Owner, found: FoundCart | None = None) -> None:
        """It does not count any more in SQL: make room for it, unless another one lies there by now. None:
        whatever lies there. Never raises; what stays runs out."""
        ...
