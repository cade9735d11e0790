"""What the domain refuses, each with a sentence that says what to do."""
# ruff: noqa: N818  errors are named by what happened, like asyncio.QueueFull

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


class OrderError(Exception):
    """Base of everything that this service refuses."""


class IllegalTransition(OrderError):
    """The transition table has no row for this."""

    def __init__(self, status: str, trigger: str) -> None:
        super().__init__(f"An order that is {status} cannot take {trigger}; see the transition table.")


class TooLateToCancel(OrderError):
    """Cooking has begun, or the kitchen has said no."""

    def __init__(self, status: str) -> None:
        super().__init__(f"The order is {status}; it can be cancelled only before cooking begins.")


class NotConfirmedYet(OrderError):
    """News from the kitchen about an order that was never handed to it."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} is not confirmed yet; handle this event again later.")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (JSON pointer) and what to do about it."""

    pointer: str
    detail: str


class Unorderable(OrderError):
    """The menu does not offer what was asked for; holds every fault, not only the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(fault.detail for fault in faults))
        self.faults = tuple(faults)


class SoldOut(Unorderable):
    """All of it is on the menu, but not all of it can be had at the moment."""


class UnknownOrder(OrderError):
    """There is no such order, or it is not the caller's; the answer does not tell which."""

    def __init__(self) -> None:
        super().__init__("There is no such order among those that you may see.")


class UnknownGuest(OrderError):
    """There is no such guest, or their session has ended."""

    def __init__(self) -> None:
        super().__init__("You are not known here any more; sign in anew.")


class OrdersOpen(OrderError):
    """A guest with an order under way wants to be deleted."""

    def __init__(self) -> None:
        super().__init__("An order of yours has not ended yet; cancel it or wait for it, then delete.")


class KeyReused(OrderError):
    """The Idempotency-Key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another order; send a new key.")


class KeyTaken(OrderError):
    """Another request with the same Idempotency-Key was faster; its answer is stored."""


class InProgress(OrderError):
    """The first request with this Idempotency-Key is still being answered."""

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still running; repeat it shortly.")


class KitchenFull(OrderError):
    """So many orders are open that one more would only wait.

    room: orders that this kind may have open. retry_after: until there is room. empty_after: until all
    that is open now is cooked.
    """

    def __init__(self, room: int, *, retry_after: timedelta, empty_after: timedelta) -> None:
        super().__init__(f"The kitchen has {room} orders to cook; try again later.")
        self.room = room
        self.retry_after = retry_after
        self.empty_after = empty_after


class ProviderUnavailable(OrderError):
    """The payment provider gave no answer; what it did is unknown until it is asked."""


class ProviderNotAsked(OrderError):
    """Too many calls to the payment provider were in vain, so for `wait` nobody calls it."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("The payment provider does not answer at the moment; it was not asked.")
        self.wait = wait


class KitchenAway(OrderError):
    """The kitchen does not answer."""


class LettersAway(OrderError):
    """Dead letters cannot be read without Redis."""


class MenuUnavailable(OrderError):
    """The menu service does not answer, and there is no copy of the menu that is young enough."""

    def __init__(self) -> None:
        super().__init__("There is no menu to price by at the moment; try again in a few seconds.")


class CartError(OrderError):
    """Base of what is refused around carts."""


class CartsUnavailable(CartError):
    """What keeps the carts does not answer."""

    def __init__(self) -> None:
        super().__init__("The carts cannot be reached at the moment; orders can still be placed.")


class CartGone(CartError):
    """There is no cart under that token (any more)."""

    def __init__(self) -> None:
        super().__init__("This cart is gone: lost, or not used for too long. Begin a new one.")


class CartEmpty(CartError):
    """There is nothing to check out; `gone`: there was."""

    def __init__(self, *, gone: bool) -> None:
        super().__init__(
            "Your cart is gone: it was lost, or not used for too long. Fill it anew."
            if gone
            else "There is nothing in your cart; put something into it first."
        )
        self.gone = gone


class CartFull(CartError):
    def __init__(self, most: int) -> None:
        super().__init__(f"A cart takes {most} lines; raise a quantity, or take one out.")


class CartBusy(CartError):
    """It is being checked out, or everybody changes it at once."""

    def __init__(self) -> None:
        super().__init__("Your cart is being checked out; look again in a moment.")


class CartChanged(CartError):
    """Somebody else has changed the cart since it was found: find it again and decide anew."""

    def __init__(self) -> None:
        super().__init__("Your cart has just been changed; look again.")


class CartNotAsShown(CartError):
    def __init__(self) -> None:
        super().__init__("Your cart is not the one that you were shown; look at it again.")


class CartSpent(CartError):
    """This very cart was ordered or emptied before."""

    def __init__(self) -> None:
        super().__init__("This cart was ordered or emptied already; see GET /orders and GET /cart.")


class UnknownLine(CartError):
    def __init__(self) -> None:
        super().__init__("There is no such line in your cart.")


class PricesChanged(CartError):
    """The menu has other prices than those that were shown: unit prices in EUR, line by line."""

    def __init__(self, shown: Sequence[Decimal], now: Sequence[Decimal]) -> None:
        super().__init__("Prices have changed since you were shown the cart; check out again to accept them.")
        self.shown = tuple(shown)
        self.now = tuple(now)
