"""The transition table itself."""

import pytest
from order_service.domain import states
from order_service.domain.errors import IllegalTransition
from order_service.domain.states import TRANSITIONS, Status, Trigger

LIFE = [
    Status.PENDING,
    Status.CONFIRMED,
    Status.COOKING,
    Status.READY,
    Status.DELIVERING,
    Status.DELIVERED,
]


def test_only_delivered_and_cancelled_end() -> None:
    assert {Status.DELIVERED, Status.CANCELLED} == states.TERMINAL


@pytest.mark.proves("P5", "I7")
def test_an_order_goes_forward_one_state_at_a_time_or_is_cancelled() -> None:
    for (before, _), then in TRANSITIONS.items():
        if then is Status.CANCELLED:
            assert before in (Status.PENDING, Status.CONFIRMED, Status.COOKING)
        else:
            assert LIFE.index(then) == LIFE.index(before) + 1


def test_cooking_is_cancelled_by_the_kitchen_alone() -> None:
    ways = [
        trigger
        for (before, trigger), then in TRANSITIONS.items()
        if before is Status.COOKING and then is Status.CANCELLED
    ]
    assert ways == [Trigger.KITCHEN_GAVE_UP]


@pytest.mark.proves("P5")
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_what_the_table_does_not_list_is_refused(status: Status, trigger: Trigger) -> None:
    if (status, trigger) in TRANSITIONS:
        assert states.after(status, trigger) is TRANSITIONS[status, trigger]
    else:
        with pytest.raises(IllegalTransition, match=status):
            states.after(status, trigger)


def test_a_later_event_implies_the_earlier_ones() -> None:
    assert states.steps_until(Status.CONFIRMED, Trigger.DELIVERY_STARTED) == (
        Trigger.COOKING_STARTED,
        Trigger.COOKED,
        Trigger.DELIVERY_STARTED,
    )
    assert states.steps_until(Status.READY, Trigger.COOKED) == ()
    assert states.steps_until(Status.CANCELLED, Trigger.COOKED) == ()
