"""A delivery of ingredients comes in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kitchen_service.domain.errors import KeyReused, NotFound
from kitchen_service.domain.stock import MovementKind, Stock
from kitchen_service.use_cases.move_stock import move_stock
from kitchen_service.use_cases.ports import Books, Store


@dataclass(frozen=True, slots=True)
class Restock:
    """The stock after adding `quantity` portions, and whether this was a repeat that added nothing.

    Args:
        key: the caller's idempotency key; None: every call adds.
    Raises: NotFound (ingredient), KeyReused when the key came with another request.
    """

    store: Store
    new_id: Callable[[], str]

    async def __call__(self, ingredient: str, quantity: int, key: str | None) -> tuple[Stock, bool]:
        return await self.store.transact(partial(self._restock, ingredient, quantity, key))

    async def _restock(
        self, ingredient: str, quantity: int, key: str | None, books: Books
    ) -> tuple[Stock, bool]:
        stocks = await books.pantry.lock([ingredient])
        if ingredient not in stocks:
            raise NotFound("ingredient", ingredient)
        known = await books.pantry.restocked_as(key) if key else None
        if known is not None:
            if (known.ingredient, known.quantity) != (ingredient, quantity):
                raise KeyReused
            return stocks[ingredient], True
        moved = await move_stock(books, MovementKind.RESTOCK, {key or self.new_id(): {ingredient: quantity}})
        return moved[ingredient], False
