"""What the domain refuses, each with a sentence that says what to do."""
# ruff: noqa: N818  errors are named by what happened, like asyncio.QueueFull

from collections.abc import Sequence
from dataclasses import dataclass


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


class ProviderUnavailable(OrderError):
    """The payment provider gave no answer; what it did is unknown until it is asked."""


class MenuUnavailable(OrderError):
    """The menu service does not answer, and there is no copy of the menu that is young enough."""

    def __init__(self) -> None:
        super().__init__("There is no menu to price by at the moment; try again in a few seconds.")
