"""The saga told as stories, and its table walked to the last row."""

from collections import deque
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from order_service.domain import cancellation, saga, states, steps
from order_service.domain.cancellation import Decision
from order_service.domain.errors import NotConfirmedYet, TooLateToCancel
from order_service.domain.news import Moment, News, Policy, Settlement
from order_service.domain.order import NOTHING, Cancellation, Order, PaymentStatus, place
from order_service.domain.saga import Answer, Step
from order_service.domain.states import TERMINAL, TRANSITIONS, Status, Trigger
from pizzeria_contracts.events import OrderedItem

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
TOTAL = Decimal("25.98")
PAID_AND_CONFIRMED = ["OrderPlaced", "PaymentCaptured", "OrderConfirmed"]


class Story:
    """One order, and what happens to it: given …, when …, then …"""

    def __init__(self, *, scheduled_in: timedelta | None = None, lead: timedelta = timedelta()) -> None:
        self.now, self.lead, self.policy = NOON, lead, Policy()
        items = (OrderedItem(pizza_id="x", size="medium", quantity=2, unit_price=Decimal("12.99")),)
        self.order = place(
            order_id="o",
            customer_id="c",
            items=items,
            payment_token="tok_approved",
            priority="standard",
            scheduled_for=None if scheduled_in is None else NOON + scheduled_in,
            delivery_address=None,
            notes=None,
            traceparent=None,
            now=NOON,
            charge_due_at=NOON,
        )

    def when(self, *answers: Answer, reason: str = "", given_back: Decimal = TOTAL) -> "Story":
        for answer in answers:
            settlement = Settlement(given_back, given_back) if answer is Answer.REFUNDED else None
            steps.hear(self.order, News(answer, reason=reason, settlement=settlement), self.moment())
        return self

    given = when

    def when_the_guest_cancels(self) -> Decision:
        return cancellation.request(self.order, self.moment())

    def when_it_is(self, later: timedelta, *, heard_out: bool = True) -> "Story":
        self.now = NOON + later
        steps.begin(self.order, self.moment(), heard_out=heard_out)
        return self

    def then(self, status: Status, step: Step | None, payment: PaymentStatus | None = None) -> "Story":
        assert (self.order.status, self.order.step) == (status, step)
        assert payment is None or self.order.payment.status is payment
        return self

    def then_it_was_told(self, *events: str) -> None:
        assert [type(event).__name__ for event in self.order.happened] == list(events)

    def moment(self) -> Moment:
        return Moment(self.now, self.policy, self.lead)


@pytest.mark.proves("P4")
def test_a_paid_order_goes_to_the_kitchen_and_to_the_guest() -> None:
    story = Story().given(Answer.CAPTURED).then(Status.CONFIRMED, Step.AWAIT_KITCHEN, PaymentStatus.CAPTURED)
    story.when(Answer.ACCEPTED).then(Status.CONFIRMED, Step.AWAIT_COOK)
    story.when(Answer.STARTED).then(Status.COOKING, Step.AWAIT_COOK)
    story.when(Answer.COOKED).then(Status.READY, Step.AWAIT_DELIVERY)
    story.when(Answer.ON_ITS_WAY).then(Status.DELIVERING, Step.AWAIT_DELIVERY)
    story.when(Answer.DELIVERED).then(Status.DELIVERED, None)
    story.then_it_was_told(*PAID_AND_CONFIRMED)


@pytest.mark.proves("P4")
def test_a_declined_card_ends_it() -> None:
    story = Story().when(Answer.DECLINED).then(Status.CANCELLED, None, PaymentStatus.DECLINED)
    story.then_it_was_told("OrderPlaced", "PaymentDeclined", "OrderCancelled")


@pytest.mark.proves("P4", "I2")
def test_silence_is_followed_by_a_question_never_by_a_guess() -> None:
    story = Story().when(Answer.SILENCE).then(Status.PENDING, Step.LOOKUP, PaymentStatus.PENDING)
    story.when(Answer.SILENCE).then(Status.PENDING, Step.LOOKUP)
    story.when(Answer.UNKNOWN).then(Status.PENDING, Step.CHARGE)
    story.when(Answer.CAPTURED).then(Status.CONFIRMED, Step.AWAIT_KITCHEN, PaymentStatus.CAPTURED)


@pytest.mark.proves("P4")
def test_while_the_provider_is_not_asked_the_step_stays_and_is_due_later() -> None:
    story = Story()
    wait = timedelta(seconds=7)
    steps.hear(story.order, News(Answer.NOT_ASKED, wait=wait), story.moment())
    story.then(Status.PENDING, Step.CHARGE)
    assert story.order.due_at == NOON + wait
    assert story.order.attempts == 0


@pytest.mark.proves("P4", "I2")
@pytest.mark.parametrize("before", [[], [Answer.ACCEPTED], [Answer.ACCEPTED, Answer.STARTED]])
def test_a_shortage_or_a_failure_of_the_kitchen_gives_the_money_back(before: list[Answer]) -> None:
    story = Story().given(Answer.CAPTURED, *before)
    story.when(Answer.REJECTED, reason="out-of-stock").then(story.order.status, Step.REFUND)
    story.when(Answer.REFUNDED).then(Status.CANCELLED, None, PaymentStatus.REFUNDED)
    story.then_it_was_told(*PAID_AND_CONFIRMED, "PaymentRefunded", "OrderCancelled")


@pytest.mark.proves("P4", "I1")
def test_a_missed_deadline_of_the_kitchen_gives_the_money_back_once_it_is_heard_out() -> None:
    story = Story().given(Answer.CAPTURED)
    story.when_it_is(timedelta(seconds=59)).then(Status.CONFIRMED, Step.AWAIT_KITCHEN)
    story.when_it_is(timedelta(seconds=61), heard_out=False).then(Status.CONFIRMED, Step.AWAIT_KITCHEN)
    story.when_it_is(timedelta(seconds=62)).then(Status.CONFIRMED, Step.REFUND)
    story.when(Answer.REFUNDED).then(Status.CANCELLED, None, PaymentStatus.REFUNDED)
    assert story.order.closing == "kitchen-timeout"


@pytest.mark.proves("P4", "I1")
def test_a_refund_without_an_answer_is_owed_visibly_and_tried_for_ever() -> None:
    story = Story().given(Answer.CAPTURED, Answer.REJECTED)
    story.when(Answer.SILENCE, Answer.SILENCE).then(Status.CONFIRMED, Step.REFUND)
    story.when(Answer.SILENCE).then(Status.CANCELLED, Step.REFUND, PaymentStatus.REFUND_PENDING)
    story.when(Answer.REFUNDED).then(Status.CANCELLED, None, PaymentStatus.REFUNDED)
    story.then_it_was_told(*PAID_AND_CONFIRMED, "OrderCancelled", "PaymentRefunded")


@pytest.mark.proves("P3", "P4")
def test_an_order_for_later_is_paid_now_and_handed_over_in_time() -> None:
    story = Story(scheduled_in=timedelta(hours=2), lead=timedelta(minutes=20))
    story.given(Answer.CAPTURED).then(Status.CONFIRMED, Step.AWAIT_SCHEDULE, PaymentStatus.CAPTURED)
    story.then_it_was_told("OrderPlaced", "PaymentCaptured")
    # It is looked at again when half of the wait is over; by then the kitchen has become slower.
    assert story.order.due_at == NOON + timedelta(minutes=50)
    story.lead = timedelta(minutes=40)
    story.when_it_is(timedelta(minutes=50)).then(Status.CONFIRMED, Step.AWAIT_SCHEDULE)
    assert story.order.due_at == NOON + timedelta(minutes=65)
    story.when_it_is(timedelta(minutes=80)).then(Status.CONFIRMED, Step.AWAIT_KITCHEN)
    story.then_it_was_told(*PAID_AND_CONFIRMED)
    assert story.order.due_at == story.now + story.policy.kitchen_deadline  # counted from here
    assert story.order.estimated_ready_at == NOON + timedelta(hours=2)


@pytest.mark.proves("P3")
def test_when_it_gets_late_the_estimate_says_so() -> None:
    story = Story(scheduled_in=timedelta(minutes=30), lead=timedelta(minutes=20))
    story.given(Answer.CAPTURED)
    story.lead = timedelta(minutes=45)
    story.when_it_is(timedelta(minutes=5)).then(Status.CONFIRMED, Step.AWAIT_KITCHEN)
    assert story.order.estimated_ready_at == NOON + timedelta(minutes=50)


@pytest.mark.proves("P3", "P5")
def test_an_order_for_later_is_called_off_at_once_until_it_is_handed_over() -> None:
    story = Story(scheduled_in=timedelta(hours=2)).given(Answer.CAPTURED)
    assert story.when_the_guest_cancels() is Decision.CALLED_OFF
    story.then(Status.CONFIRMED, Step.REFUND).when(Answer.REFUNDED).then(Status.CANCELLED, None)
    story.then_it_was_told("OrderPlaced", "PaymentCaptured", "PaymentRefunded", "OrderCancelled")

    story = Story(scheduled_in=timedelta(hours=2)).given(Answer.CAPTURED).when_it_is(timedelta(hours=2))
    assert story.when_the_guest_cancels() is Decision.ASKED_KITCHEN


@pytest.mark.proves("P4", "P5")
def test_the_kitchen_decides_about_a_cancellation_once_it_has_the_order() -> None:
    story = Story().given(Answer.CAPTURED, Answer.ACCEPTED)
    assert story.when_the_guest_cancels() is Decision.ASKED_KITCHEN
    assert story.when_the_guest_cancels() is Decision.ASKED_KITCHEN
    story.when(Answer.LET_GO).then(Status.CONFIRMED, Step.REFUND)
    story.when(Answer.STARTED).then(Status.CONFIRMED, Step.REFUND)  # too late: nothing is cooked any more

    story = Story().given(Answer.CAPTURED, Answer.ACCEPTED)
    story.when_the_guest_cancels()
    story.when(Answer.STARTED, Answer.KEPT).then(Status.COOKING, Step.AWAIT_COOK, PaymentStatus.CAPTURED)
    assert story.order.cancellation is Cancellation.REFUSED
    with pytest.raises(TooLateToCancel):
        story.when_the_guest_cancels()


@pytest.mark.proves("I1", "I2", "I7", "P4", "P5")
def test_every_row_of_both_tables_is_walked_and_from_everywhere_there_is_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: set[tuple[Status, Trigger]] = set()
    after = states.after

    def noted(status: Status, trigger: Trigger) -> Status:
        taken.add((status, trigger))
        return after(status, trigger)  # raises when the table has no such row

    monkeypatch.setattr(states, "after", noted)
    walked: set[tuple[Step | None, Answer]] = set()
    leads_to: dict[object, set[object]] = {}
    ended: set[object] = set()
    starts = [Story().order, Story(scheduled_in=timedelta(hours=1)).order]
    waiting, known = deque(starts), {_state(order) for order in starts}
    while waiting:
        order = waiting.popleft()
        following = leads_to.setdefault(_state(order), set())
        if order.ended:
            ended.add(_state(order))
            _check_the_end(order)
        for news in _anything(order):
            then = deepcopy(order)
            try:
                mattered = steps.hear(then, news, Moment(NOON, Policy()))
            except NotConfirmedYet:
                assert order.step in saga.BEFORE_THE_KITCHEN
                continue
            if not mattered:
                assert then == order  # what comes too late changes nothing
                continue
            walked.add((order.step, news.answer))
            following.add(_state(then))
            if _state(then) not in known:
                known.add(_state(then))
                waiting.append(then)
    assert walked == {(step, answer) for step, answer, _ in saga.rows()}
    assert taken == set(TRANSITIONS)
    can_end = set(ended)
    while more := {state for state, then in leads_to.items() if then & can_end} - can_end:
        can_end |= more
    assert can_end == known


def _state(order: Order) -> object:
    payment = order.payment
    return (
        order.status,
        order.step,
        order.cancellation,
        order.closing,
        order.scheduled_for,
        min(order.attempts, Policy().refund_tries),
        payment.status,
        payment.captured,
        payment.refunded,
    )


def _anything(order: Order) -> list[News]:
    """Every answer that there is, and every settlement that may be true."""
    news = [
        News(answer, reason="out-of-stock", ready_at=NOON)
        for answer in Answer
        if answer is not Answer.REFUNDED
    ]
    captured = [order.payment.captured] if order.payment.captured else [NOTHING, TOTAL]
    return news + [News(Answer.REFUNDED, settlement=Settlement(amount, amount)) for amount in captured]


def _check_the_end(order: Order) -> None:
    assert order.status in TERMINAL
    kept = TOTAL if order.status is Status.DELIVERED else NOTHING
    assert order.payment.captured - order.payment.refunded == kept
    assert order.payment.status is not PaymentStatus.REFUND_PENDING
    told = [type(event).__name__ for event in order.happened]
    assert len(told) == len(set(told))
    assert ("OrderCancelled" in told) == (order.status is Status.CANCELLED)
