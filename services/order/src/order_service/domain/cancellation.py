"""The guest wants to cancel: who decides, and what is the answer.

Before the kitchen has heard of the order we decide; afterwards only the kitchen can, because
only there a cook may be taking the ticket at this very moment.
"""

from enum import Enum, auto

from order_service.domain import steps
from order_service.domain.errors import TooLateToCancel
from order_service.domain.news import Moment, News
from order_service.domain.order import Cancellation, Order
from order_service.domain.saga import BEFORE_THE_KITCHEN, Answer
from order_service.domain.states import Status


class Decision(Enum):
    """What a wish to cancel led to."""

    CANCELLED = auto()  # it had ended so before
    CALLED_OFF = auto()  # decided now; the refund step is the caller's
    CLOSING = auto()  # decided before; the refund step is somebody else's
    ASKED_KITCHEN = auto()  # the kitchen decides


def request(order: Order, at: Moment) -> Decision:
    """Cancel, or ask the kitchen to. Repeats are harmless and get the same kind of answer.

    Raises TooLateToCancel once cooking has begun or the kitchen has refused.
    """
    if order.status is Status.CANCELLED:
        return Decision.CANCELLED
    if order.closing is not None:
        return Decision.CLOSING
    ours = order.step in BEFORE_THE_KITCHEN
    if not ours and (order.status is not Status.CONFIRMED or order.cancellation is Cancellation.REFUSED):
        raise TooLateToCancel(order.status)
    steps.hear(order, News(Answer.REGRETTED), at)
    return Decision.CALLED_OFF if ours else Decision.ASKED_KITCHEN
