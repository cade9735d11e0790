"""The life cycle of an order as one table.

Nothing else decides what may follow what: the aggregate asks this table, the property tests
walk it, the README shows the diagram that is drawn from it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from order_service.domain.errors import IllegalTransition


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    COOKING = "cooking"
    READY = "ready"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    PAYMENT_CAPTURED = "payment captured"
    PAYMENT_DECLINED = "payment declined"
    CALLED_OFF = "called off"
    COOKING_STARTED = "cooking started"
    KITCHEN_GAVE_UP = "kitchen gave up"
    COOKED = "cooked"
    DELIVERY_STARTED = "delivery started"
    DELIVERY_COMPLETED = "delivery completed"


TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = MappingProxyType(
    {
        (Status.PENDING, Trigger.PAYMENT_CAPTURED): Status.CONFIRMED,
        (Status.PENDING, Trigger.PAYMENT_DECLINED): Status.CANCELLED,
        (Status.PENDING, Trigger.CALLED_OFF): Status.CANCELLED,
        (Status.CONFIRMED, Trigger.CALLED_OFF): Status.CANCELLED,
        (Status.CONFIRMED, Trigger.COOKING_STARTED): Status.COOKING,
        (Status.COOKING, Trigger.KITCHEN_GAVE_UP): Status.CANCELLED,
        (Status.COOKING, Trigger.COOKED): Status.READY,
        (Status.READY, Trigger.DELIVERY_STARTED): Status.DELIVERING,
        (Status.DELIVERING, Trigger.DELIVERY_COMPLETED): Status.DELIVERED,
    }
)

# What the kitchen's news bring about, in the order in which they must happen.
PROGRESS = (
    Trigger.COOKING_STARTED,
    Trigger.COOKED,
    Trigger.DELIVERY_STARTED,
    Trigger.DELIVERY_COMPLETED,
)

TERMINAL = frozenset(set(Status) - {before for before, _ in TRANSITIONS})


def after(status: Status, trigger: Trigger) -> Status:
    """The state that follows, or IllegalTransition."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise IllegalTransition(status, trigger) from None


def steps_until(status: Status, trigger: Trigger) -> tuple[Trigger, ...]:
    """The triggers that lead from here through `trigger`; empty when that lies behind already.

    A later event implies the earlier ones: when `ticket_started` ended as a dead letter,
    `order_ready` still says that cooking has begun. The table is walked, never jumped.
    """
    wanted = PROGRESS[: PROGRESS.index(trigger) + 1]
    for at, first in enumerate(wanted):
        if (status, first) in TRANSITIONS:
            return wanted[at:]
    return ()


def diagram() -> str:
    """The table as a Mermaid state diagram, for the README."""
    rows = [f"    {before} --> {then}: {trigger}" for (before, trigger), then in TRANSITIONS.items()]
    ends = [f"    {status} --> [*]" for status in Status if status in TERMINAL]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Status.PENDING}", *rows, *ends])
