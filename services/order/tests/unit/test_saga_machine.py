"""Property: whatever the provider, the kitchen, the guest and crashes do in whatever order,
an order moves along the table, is captured once, and ends in exactly one way.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from order_service.domain import cancellation, states, steps
from order_service.domain.errors import IllegalTransition, NotConfirmedYet, TooLateToCancel
from order_service.domain.news import Moment, News, Policy, Settlement
from order_service.domain.order import Cancellation, Order, PaymentStatus, place
from order_service.domain.saga import BEFORE_THE_KITCHEN, Answer, Step
from order_service.domain.states import TERMINAL, TRANSITIONS, Status, Trigger
from pizzeria_contracts.events import OrderedItem

POLICY = Policy()
NOTHING = Decimal("0.00")
LEAD = timedelta(seconds=40)
FATES = ["answered", "answered", "answered", "reply lost", "never arrived", "not asked", "crashed"]
TRIGGERS = dict(
    zip([Answer.STARTED, Answer.COOKED, Answer.ON_ITS_WAY, Answer.DELIVERED], states.PROGRESS, strict=True)
)
PROGRESS = list(TRIGGERS)
REACHABLE = {before: {then for (b, _), then in TRANSITIONS.items() if b is before} for before in Status}


class Provider:
    """What an idempotent provider does, key by key; it answers nothing by itself."""

    def __init__(self, total: Decimal, declines: bool) -> None:
        self.total, self.declines = total, declines
        self.state = Answer.UNKNOWN
        self.captures = 0
        self.refunded = NOTHING

    def charge(self) -> Answer:
        if self.state is Answer.UNKNOWN:
            self.state = Answer.DECLINED if self.declines else Answer.CAPTURED
            self.captures += self.state is Answer.CAPTURED
        return self.state

    def refund(self) -> Settlement:
        if self.state is Answer.UNKNOWN:
            self.state = Answer.VOIDED
        if self.state is Answer.CAPTURED:
            self.refunded = self.total
        return Settlement(self.total if self.captures else NOTHING, self.refunded)


class LifeOfAnOrder(RuleBasedStateMachine):
    order: Order
    provider: Provider

    @initialize(
        declines=st.sampled_from([False, False, True]),
        regrets=st.booleans(),
        later=st.sampled_from([0, 0, 90]),
    )
    def placed(self, declines: bool, regrets: bool, later: int) -> None:
        self.regrets = regrets
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        items = (OrderedItem(pizza_id="x", size="medium", quantity=2, unit_price=Decimal("12.99")),)
        self.order = place(
            order_id="o",
            customer_id="c",
            items=items,
            payment_token="tok_approved",
            priority="standard",
            scheduled_for=self.now + timedelta(seconds=later) if later else None,
            delivery_address=None,
            notes=None,
            traceparent=None,
            now=self.now,
            charge_due_at=self.now,
        )
        self.provider = Provider(self.order.total, declines)
        self.trail = [self.order.status]
        self.held: list[Step] = []  # steps taken up by replicas that have not reported yet

    # What the saga does; a replica that was paused may report long after its lease.

    # Nothing; beyond a retry; beyond a lease; beyond the kitchen's deadline.
    @rule(seconds=st.sampled_from([0, 1, 6, 6, 70]), heard_out=st.booleans())
    def a_replica_begins_what_is_due(self, seconds: int, heard_out: bool) -> None:
        self.now += timedelta(seconds=seconds)
        step = steps.begin(self.order, self.moment(), heard_out=heard_out)
        if step is not None:
            self.held.append(step)
        self.look()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), fate=st.sampled_from(FATES))
    def a_replica_finishes_its_step(self, data: st.DataObject, fate: str) -> None:
        step = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if step is Step.REFUND:
            self.finish_refund(fate)
        else:
            self.finish_charge(step, fate)
        self.look()

    def moment(self) -> Moment:
        return Moment(self.now, POLICY, LEAD)

    def hear(self, news: News) -> bool:
        return steps.hear(self.order, news, self.moment())

    def finish_charge(self, step: Step, fate: str) -> None:
        answer = Answer.UNKNOWN
        if fate == "not asked":
            self.hear(News(Answer.NOT_ASKED, wait=timedelta(seconds=1)))
            return
        if fate != "never arrived":
            answer = self.provider.charge() if step is Step.CHARGE else self.provider.state
        if fate == "answered":
            self.hear(News(answer))
        elif fate != "crashed":
            self.hear(News(Answer.SILENCE, error="time-out"))

    def finish_refund(self, fate: str) -> None:
        if fate == "not asked":
            self.hear(News(Answer.NOT_ASKED, wait=timedelta(seconds=1)))
            return
        settlement = None if fate == "never arrived" else self.provider.refund()
        if fate == "answered":
            self.hear(News(Answer.REFUNDED, settlement=settlement))
        elif fate != "crashed":
            self.hear(News(Answer.SILENCE, error="time-out"))

    # What the kitchen and the guest do; the kitchen only knows of orders that were handed over.

    @precondition(lambda self: self.handed_over)
    @rule(answer=st.sampled_from([Answer.ACCEPTED, Answer.REJECTED, Answer.LET_GO, Answer.KEPT]))
    def kitchen_says(self, answer: Answer) -> None:
        self.hear(News(answer, reason="out-of-stock", ready_at=self.now))
        self.look()

    @precondition(lambda self: self.handed_over)
    @rule(answer=st.sampled_from(PROGRESS))
    def kitchen_progresses(self, answer: Answer) -> None:
        walked = states.steps_until(self.order.status, TRIGGERS[answer])
        if self.hear(News(answer)):
            for step in walked:
                self.trail.append(TRANSITIONS[self.trail[-1], step])
        self.look()

    @property
    def handed_over(self) -> bool:
        return any(type(event).__name__ == "OrderConfirmed" for event in self.order.happened)

    @precondition(lambda self: self.regrets == ("late" if self.handed_over else "early"))
    @rule()
    def guest_cancels(self) -> None:
        before = self.order.status
        ours = self.order.step in BEFORE_THE_KITCHEN
        try:
            decision = cancellation.request(self.order, self.moment())
            # Before it is handed over nobody else is asked.
            assert not ours or decision is cancellation.Decision.CALLED_OFF
        except TooLateToCancel:
            assert before not in (Status.PENDING, Status.CANCELLED)
            assert before is not Status.CONFIRMED or self.order.cancellation is Cancellation.REFUSED
        self.look()

    def look(self) -> None:
        if self.order.status is not self.trail[-1]:
            self.trail.append(self.order.status)

    @invariant()
    def moves_along_the_table(self) -> None:
        if hasattr(self, "trail"):
            for before, then in zip(self.trail, self.trail[1:], strict=False):
                assert then in REACHABLE[before], self.trail

    @invariant()
    def says_each_fact_once(self) -> None:
        if hasattr(self, "order"):
            said = [type(event).__name__ for event in self.order.happened]
            assert len(said) == len(set(said)), said
            assert ("OrderCancelled" in said) == (self.order.status is Status.CANCELLED)
            assert ("PaymentCaptured" in said) == (self.order.payment.captured > 0)
            assert ("PaymentRefunded" in said) == (self.order.payment.refunded > 0)
            if "OrderConfirmed" in said:
                assert said.index("PaymentCaptured") < said.index("OrderConfirmed")

    @invariant()
    def money_is_never_worse_than_the_truth(self) -> None:
        if hasattr(self, "order"):
            assert self.provider.captures <= 1
            assert self.order.payment.captured <= self.provider.total * self.provider.captures
            assert self.order.payment.refunded <= self.provider.refunded

    def teardown(self) -> None:
        """Faults end: due steps are done and answered, the kitchen goes on to the end."""
        if not hasattr(self, "order"):
            return
        for _ in range(20):
            self.now += timedelta(seconds=120)
            step = steps.begin(self.order, self.moment(), heard_out=True)
            self.look()
            if step is Step.REFUND:
                self.finish_refund("answered")
            elif step is not None:
                self.finish_charge(step, "answered")
            self.look()
            if self.handed_over and self.order.status is not Status.CANCELLED:
                self.kitchen_progresses(Answer.DELIVERED)
        self.moves_along_the_table()
        self.says_each_fact_once()
        assert self.order.ended, (self.order.status, self.order.step)
        assert [status for status in self.trail if status in TERMINAL] == self.trail[-1:]
        payment = self.order.payment
        kept = self.order.total if self.order.status is Status.DELIVERED else NOTHING
        assert payment.captured - payment.refunded == kept
        assert payment.captured == self.provider.total * self.provider.captures
        assert payment.refunded == self.provider.refunded
        assert payment.status is not PaymentStatus.REFUND_PENDING
        for trigger in Trigger:
            with pytest.raises(IllegalTransition):
                self.order.take(trigger)


LifeOfAnOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


# Run by Hypothesis.
TestLifeOfAnOrder = pytest.mark.proves("I1", "I2", "I7", "P4", "P5")(LifeOfAnOrder.TestCase)


@pytest.mark.parametrize("step", BEFORE_THE_KITCHEN)
def test_news_of_an_order_that_was_not_handed_over_are_to_be_heard_again(step: Step) -> None:
    machine = LifeOfAnOrder()
    machine.placed(declines=False, regrets="never", later=90)
    machine.order.plan(step, None)
    with pytest.raises(NotConfirmedYet):
        machine.hear(News(Answer.STARTED))
    assert machine.order.status is Status.PENDING
