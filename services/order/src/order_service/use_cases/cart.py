"""The cart: filled, priced, and joined with another one at sign-in (ADR 0056)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from pizzeria_chassis.ids import new_id
from pizzeria_contracts.menu import Menu
from pizzeria_contracts.payloads import Size
from rediscore.clock import Clock

from order_service.domain import cart as carts
from order_service.domain import pricing
from order_service.domain.cart import Cart, Line, PricedCart
from order_service.domain.errors import CartBusy, CartChanged, CartGone
from order_service.domain.pricing import Wish
from order_service.use_cases.cart_ports import Carts, FoundCart, Owner
from order_service.use_cases.ports import MenuSource

ATTEMPTS = 10


@dataclass(frozen=True)
class LineChange:
    """None: stays as it is."""

    quantity: int | None = None
    size: Size | None = None
    toppings: tuple[str, ...] | None = None

    def of(self, wish: Wish) -> Wish:
        return Wish(
            wish.pizza_id,
            wish.size if self.size is None else self.size,
            wish.toppings if self.toppings is None else self.toppings,
            wish.quantity if self.quantity is None else self.quantity,
        )


class KeepCart:
    """What a guest, or somebody who is none yet, does with a cart.

    Every answer shows today's prices, and what was shown is what a checkout charges. Two who change one cart
    at once both get what they asked for.

    All raise MenuUnavailable; CartsUnavailable while Redis is away; CartGone for a cart of nobody that has
    run out or is lost; the verbs that change it also CartBusy while it is being checked out.
    """

    def __init__(self, *, store: Carts, menu: MenuSource, clock: Clock) -> None:
        self._store = store
        self._menu = menu
        self._clock = clock

    async def begin(self) -> str:
        """A cart for somebody who has not signed in; the token is the only way to it."""
        return await self._store.begin()

    async def show(self, owner: Owner) -> PricedCart:
        """The cart as it is now; its time begins anew."""
        menu = await self._menu.current()
        for _ in range(ATTEMPTS):
            found = await self._store.find(owner)
            priced = carts.price(found.cart, menu)
            try:
                await self._keep(owner, found, priced.cart)
            except CartChanged:
                continue
            return replace(priced, gone=found.gone)
        raise CartBusy

    async def add(self, owner: Owner, wish: Wish, key: str | None) -> tuple[PricedCart, str]:
        """Put a line into it; its id. The same key again finds the line there.

        Raises: Unorderable, SoldOut, CartFull.
        """
        line_id = new_id() if key is None else str(uuid5(NAMESPACE_URL, f"cart:{owner.key}:{key}"))
        menu = await self._menu.current()
        line = _line(line_id, wish, menu)
        return await self._change(owner, lambda cart: carts.price(cart.put(line), menu)), line_id

    async def change(self, owner: Owner, line_id: str, change: LineChange) -> PricedCart:
        """Raises: UnknownLine; Unorderable, SoldOut."""
        menu = await self._menu.current()

        def changed(cart: Cart) -> PricedCart:
            line = _line(line_id, change.of(cart.line(line_id).wish), menu)
            return carts.price(cart.change(line), menu)

        return await self._change(owner, changed)

    async def remove(self, owner: Owner, line_id: str) -> None:
        """Raises: UnknownLine."""
        # The answer shows nothing, so prices stay as they were shown.
        await self._change(owner, lambda cart: PricedCart(cart.without(line_id), ()))

    async def merge(self, owner: Owner, other: Owner) -> None:
        """Take over the other's lines, each once however often this is done; what does not fit stays."""
        for _ in range(ATTEMPTS):
            try:
                theirs = await self._store.find(other)
            except CartGone:
                return
            if not theirs.cart.lines:
                return
            ours = await self._store.find(owner)
            joined, left = ours.cart.free(self._clock.now()).joined(theirs.cart)
            try:
                if joined.lines != ours.cart.lines:
                    await self._store.save(owner, ours, joined)
                await self._store.save(other, theirs, left)
            except CartChanged:
                continue
            return
        raise CartBusy

    async def _change(self, owner: Owner, change: Callable[[Cart], PricedCart]) -> PricedCart:
        for _ in range(ATTEMPTS):
            found = await self._store.find(owner)
            changed = change(found.cart.free(self._clock.now()))
            try:
                await self._keep(owner, found, changed.cart)
            except CartChanged:
                continue
            return changed
        raise CartBusy

    async def _keep(self, owner: Owner, found: FoundCart, cart: Cart) -> None:
        if cart == found.cart:
            await self._store.touch(owner, found)
        else:
            await self._store.save(owner, found, cart)


def _line(line_id: str, wish: Wish, menu: Menu) -> Line:
    sold = pricing.price_one(wish, menu)
    return Line(line_id, wish.pizza_id, wish.size, wish.toppings, wish.quantity, sold.unit_price)
