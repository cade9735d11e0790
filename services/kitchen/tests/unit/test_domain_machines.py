"""The two state machines, driven by random steps: whatever happens, only the table's moves are made."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen_service.domain.errors import KitchenError, OtherDriver, StaleLease, WrongState
from kitchen_service.domain.kitchen_order import GONE, ORDER_TRANSITIONS, KitchenOrder, OrderStatus, OrderStep
from kitchen_service.domain.ticket import (
    FINISHED,
    MAX_FAILURES,
    TICKET_TRANSITIONS,
    Pizza,
    Priority,
    Size,
    Ticket,
    TicketStatus,
    TicketStep,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEASE = timedelta(seconds=10)


def ticket(**changes: object) -> Ticket:
    fresh = Ticket(
        id="t",
        order_id="o",
        pizza=Pizza(pizza_id="margherita", size=Size.MEDIUM),
        priority=Priority.STANDARD,
        ingredients={"dough": 2},
        created_at=NOW,
        due_at=NOW,
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


def started(token: int = 7) -> Ticket:
    return ticket().start(station_id="oven-1", token=token, claim_id="c", lease_until=NOW + LEASE, now=NOW)


steps = st.lists(
    st.tuples(
        st.sampled_from(["start", "extend", "complete", "fail", "cancel", "abandon"]),
        st.integers(1, 12),  # token
        st.integers(0, 20),  # seconds that pass
    ),
    max_size=40,
)


@given(steps)
def test_whatever_stations_do_a_ticket_moves_along_its_table_and_its_token_only_grows(
    script: list[tuple[str, int, int]],
) -> None:
    now, current, endings = NOW, ticket(), 0
    for verb, token, seconds in script:
        now += timedelta(seconds=seconds)
        before = current
        try:
            match verb:
                case "start":
                    current = current.start(
                        station_id="s", token=token, claim_id="c", lease_until=now + LEASE, now=now
                    )
                case "extend":
                    current = current.extend(token, now + LEASE, now)
                case "complete":
                    current = current.complete(token, now)
                case "fail":
                    current = current.fail(token, "burnt", now)
                case "cancel":
                    current = current.cancel(now)
                case "abandon":
                    current = current.abandon(now)
        except KitchenError:
            assert current is before
            continue
        assert current.fencing_token >= before.fencing_token
        if verb == "start":
            assert current.fencing_token == token > before.fencing_token
        if verb in ("extend", "complete", "fail"):
            assert token == before.fencing_token
        if current.status is not before.status:
            assert current.status in {
                after for (state, _), after in TICKET_TRANSITIONS.items() if state is before.status
            }
        endings += current.finished and not before.finished
    assert endings <= 1


@given(st.lists(st.sampled_from(list(OrderStep)), max_size=30))
def test_an_order_is_never_cooked_after_it_is_gone(script: list[OrderStep]) -> None:
    order = KitchenOrder(id="o", status=OrderStatus.ACCEPTED, created_at=NOW)
    for step in script:
        before = order
        try:
            order = order.take(step)
        except WrongState:
            assert (before.status, step) not in ORDER_TRANSITIONS
            continue
        assert before.status not in GONE
        assert before.status is not OrderStatus.DELIVERED


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_nothing_follows_a_finished_ticket(status: TicketStatus) -> None:
    assert not [step for state, step in TICKET_TRANSITIONS if state is status]


def test_a_guest_may_cancel_until_the_first_pizza_is_started_and_not_later() -> None:
    may_cancel = {state for state, step in ORDER_TRANSITIONS if step is OrderStep.CANCEL}
    assert may_cancel == {OrderStatus.ACCEPTED}
    assert (TicketStatus.STARTED, TicketStep.CANCEL) not in TICKET_TRANSITIONS


def test_the_holder_of_an_older_token_can_do_nothing() -> None:
    taken_over = started(7).start(
        station_id="oven-2", token=8, claim_id="d", lease_until=NOW + 2 * LEASE, now=NOW + LEASE
    )
    late_verbs: list[Callable[[], Ticket]] = [
        lambda: taken_over.extend(7, NOW + 3 * LEASE, NOW + LEASE),
        lambda: taken_over.complete(7, NOW + LEASE),
        lambda: taken_over.fail(7, "burnt", NOW + LEASE),
        lambda: taken_over.start(
            station_id="oven-1", token=7, claim_id="c", lease_until=NOW, now=NOW + LEASE
        ),
    ]
    for late in late_verbs:
        with pytest.raises(StaleLease):
            late()


def test_an_expired_lease_cannot_be_extended_but_the_cooked_pizza_still_counts() -> None:
    late = NOW + LEASE
    with pytest.raises(StaleLease):
        started().extend(7, late + LEASE, late)
    assert started().complete(7, late).status is TicketStatus.COMPLETED


def test_a_pizza_that_keeps_failing_waits_longer_and_is_given_up() -> None:
    current, pauses = ticket(), []
    for attempt in range(1, MAX_FAILURES + 1):
        current = current.start(
            station_id="s", token=attempt, claim_id="c", lease_until=NOW + LEASE, now=NOW
        ).fail(attempt, "burnt", NOW)
        pauses.append(current.due_at - NOW)
    assert current.status is TicketStatus.FAILED
    assert pauses[:-1] == sorted(pauses[:-1])
    assert pauses[0] > timedelta()


def test_a_driver_may_repeat_and_another_one_may_not_take_over() -> None:
    ready = KitchenOrder(id="o", status=OrderStatus.READY, created_at=NOW)
    gone = ready.depart("ada", NOW)
    assert gone.depart("ada", NOW + LEASE) == gone
    with pytest.raises(OtherDriver):
        gone.depart("bob", NOW)
    with pytest.raises(OtherDriver):
        gone.arrive("bob", NOW)
    there = gone.arrive(None, NOW)
    assert there.status is OrderStatus.DELIVERED
    assert there.arrive("ada", NOW + LEASE) == there
    with pytest.raises(WrongState):
        ready.arrive("ada", NOW)
