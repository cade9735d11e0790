"""The guest wants to cancel: who decides, and what is the answer.

Before the kitchen has heard of the order we decide; afterwards only the kitchen can, because
only there a cook may be taking the ticket at this very moment.
"""

from datetime import datetime
from enum import Enum, auto

from order_service.domain.errors import TooLateToCancel
from order_service.domain.order import Cancellation, Order
from order_service.domain.saga import Policy, call_off_because
from order_service.domain.states import Status

REASON = "customer"


class Decision(Enum):
    """What a wish to cancel led to."""

    CANCELLED = auto()  # it had ended so before
    CALLED_OFF = auto()  # decided now; the refund step is the caller's
    CLOSING = auto()  # decided before; the refund step is somebody else's
    ASKED_KITCHEN = auto()  # the kitchen decides


def request(order: Order, now: datetime, policy: Policy) -> Decision:
    """Cancel, or ask the kitchen to. Repeats are harmless and get the same kind of answer.

    Raises TooLateToCancel once cooking has begun or the kitchen has refused.
    """
    if order.status is Status.CANCELLED:
        return Decision.CANCELLED
    if order.closing is not None:
        return Decision.CLOSING
    if order.status is Status.PENDING:
        order.cancellation = Cancellation.REQUESTED
        call_off_because(order, REASON, now, policy)
        return Decision.CALLED_OFF
    if order.status is not Status.CONFIRMED or order.cancellation is Cancellation.REFUSED:
        raise TooLateToCancel(order.status)
    if order.cancellation is None:
        order.ask_kitchen_to_cancel(REASON)
    return Decision.ASKED_KITCHEN
