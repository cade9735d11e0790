"""Acts by the table of the saga: what an answer does to the order, and when the next step is due. Pure."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from order_service.domain import states
from order_service.domain.errors import NotConfirmedYet
from order_service.domain.news import Moment, News
from order_service.domain.order import Cancellation, Note, Order, PaymentStatus
from order_service.domain.saga import BEFORE_THE_KITCHEN, CALLS, OF_THE_KITCHEN, SAGA, Answer, Step
from order_service.domain.states import Status, Trigger

BY_GUEST: Final = "customer"
KITCHEN_TIMEOUT: Final = "kitchen-timeout"


def hear(order: Order, news: News, at: Moment) -> bool:
    """Change the order as the table says. False when the answer comes too late to matter.

    Raises NotConfirmedYet for news of the kitchen about an order that was never handed to it.
    """
    if order.step is None or news.answer not in SAGA[order.step].answers:
        if news.answer in OF_THE_KITCHEN and order.step in BEFORE_THE_KITCHEN:
            raise NotConfirmedYet(order.id)
        return False
    then = SAGA[order.step].answers[news.answer]
    if not _EFFECTS[news.answer](order, news, at):
        return False
    _go_on(order, news, then, at)
    return True


def begin(order: Order, at: Moment, *, heard_out: bool) -> Step | None:
    """Take up the step that is due: the call that whoever saves this now has to make, or None.

    A call stays the caller's for the lease. A deadline of the kitchen counts once it is `heard_out`: its
    word may have been given in time and only not have reached us yet.
    """
    if order.step is None or order.due_at is None or order.due_at > at.now:
        return None
    if order.step in CALLS:
        order.hold(order.step, at.now + at.policy.lease, order.attempts)
        lease_until = (at.now + at.policy.lease).isoformat()
        detail = {"step": order.step, "failed_before": order.attempts, "lease_until": lease_until}
        # Nobody's request leads here: it goes on in the trace of the one that placed the order.
        order.noted.append(Note(at.now, "saga.taken_up", detail, traceparent=order.traceparent))
    elif order.step is Step.AWAIT_SCHEDULE:
        early = _wait(order, at) > timedelta()
        hear(order, News(Answer.TOO_EARLY if early else Answer.TIME_HAS_COME), at)
    else:
        hear(order, News(Answer.DEADLINE_MISSED if heard_out else Answer.NEWS_ON_THE_WAY), at)
    return order.step if order.in_hand else None


def _go_on(order: Order, news: News, then: Step | None, at: Moment) -> None:
    """Plan the next step. One that only waits keeps its deadline when it goes on waiting."""
    now, policy = at.now, at.policy
    if then is None:
        order.plan(None, None)
    elif news.answer in (Answer.SILENCE, Answer.UNKNOWN):
        attempts = order.attempts + 1
        order.plan(then, now + policy.retry_after(attempts), attempts)
    elif news.answer is Answer.NOT_ASKED:
        order.plan(then, now + max(news.wait, policy.first_retry), order.attempts)
    elif then is Step.REFUND:
        order.hold(then, now + policy.lease)
    elif news.answer is Answer.NEWS_ON_THE_WAY:
        order.plan(then, now + policy.listen_again)
    elif then is Step.AWAIT_SCHEDULE:
        _await_schedule(order, at)
    elif then is not order.step:
        order.plan(then, now + policy.kitchen_deadline if then is Step.AWAIT_KITCHEN else None)


def _await_schedule(order: Order, at: Moment) -> None:
    wait = _wait(order, at)
    order.plan(Step.AWAIT_SCHEDULE, at.now + (wait if wait <= at.policy.look_again else wait / 2))
    if wait <= timedelta():
        hear(order, News(Answer.TIME_HAS_COME), at)


def _wait(order: Order, at: Moment) -> timedelta:
    """Until the kitchen must begin; it may have become slower or faster since this was last asked."""
    return timedelta() if order.scheduled_for is None else order.scheduled_for - at.lead - at.now


# What each answer does; the table has said that it is the order's turn. False: it changes nothing.


def _captured(order: Order, _: News, __: Moment) -> bool:
    order.capture()
    return True


def _refused(order: Order, news: News, _: Moment) -> bool:
    order.decline(f"payment-{news.answer}")
    return True


def _never_arrived(order: Order, _: News, at: Moment) -> bool:
    order.noted.append(Note(at.now, "payment.unknown_to_provider", {"next": "charge again"}))
    return True


def _unanswered(order: Order, news: News, at: Moment) -> bool:
    asked = news.answer is Answer.SILENCE
    attempts = order.attempts + asked
    if order.step is Step.REFUND:
        order.noted.append(
            Note(at.now, "payment.refund_failed", {"attempt": str(attempts), "error": news.error})
        )
        # An open breaker says as much as tries in vain: the guest is told, the refund stays owed.
        if (attempts >= at.policy.refund_tries or not asked) and order.status is not Status.CANCELLED:
            order.payment.status = PaymentStatus.REFUND_PENDING
            order.call_off(order.closing or "unknown")
        return True
    detail = {"step": order.step, "attempt": str(attempts), "error": news.error}
    order.noted.append(Note(at.now, "payment.no_answer" if asked else "payment.not_asked", detail))
    return True


def _refunded(order: Order, news: News, _: Moment) -> bool:
    if news.settlement is None:
        raise ValueError("A refund comes with what it has settled.")
    order.settle(news.settlement.captured, news.settlement.refunded)
    if order.status is not Status.CANCELLED:
        order.call_off(order.closing or "unknown")
    return True


def _time_has_come(order: Order, _: News, at: Moment) -> bool:
    if order.scheduled_for is not None:
        order.estimated_ready_at = max(order.scheduled_for, at.now + at.lead)
    order.hand_over()
    return True


def _accepted(order: Order, news: News, _: Moment) -> bool:
    order.estimated_ready_at = news.ready_at
    return True


def _progressed(trigger: Trigger) -> "Effect":
    def effect(order: Order, _: News, __: Moment) -> bool:
        walk = states.steps_until(order.status, trigger)
        for step in walk:
            order.take(step)
        return bool(walk)

    return effect


def _rejected(order: Order, news: News, _: Moment) -> bool:
    order.closing = news.reason
    return True


def _deadline_missed(order: Order, _: News, __: Moment) -> bool:
    order.closing = KITCHEN_TIMEOUT
    return True


def _let_go(order: Order, _: News, __: Moment) -> bool:
    if order.status is not Status.CONFIRMED:
        return False
    order.closing = BY_GUEST
    return True


def _kept(order: Order, _: News, __: Moment) -> bool:
    wished = order.cancellation is Cancellation.REQUESTED
    if wished:
        order.cancellation = Cancellation.REFUSED
    return wished


def _regretted(order: Order, _: News, __: Moment) -> bool:
    if order.step in BEFORE_THE_KITCHEN:
        order.cancellation, order.closing = Cancellation.REQUESTED, BY_GUEST
        return True
    wish = order.cancellation is None and order.status is Status.CONFIRMED
    if wish:
        order.ask_kitchen_to_cancel(BY_GUEST)
    return wish


def _nothing(_: Order, __: News, ___: Moment) -> bool:
    return True


Effect = Callable[[Order, News, Moment], bool]

_EFFECTS: Final[Mapping[Answer, Effect]] = MappingProxyType(
    {
        Answer.CAPTURED: _captured,
        Answer.DECLINED: _refused,
        Answer.VOIDED: _refused,
        Answer.UNKNOWN: _never_arrived,
        Answer.REFUNDED: _refunded,
        Answer.SILENCE: _unanswered,
        Answer.NOT_ASKED: _unanswered,
        Answer.TOO_EARLY: _nothing,
        Answer.TIME_HAS_COME: _time_has_come,
        Answer.DEADLINE_MISSED: _deadline_missed,
        Answer.NEWS_ON_THE_WAY: _nothing,
        Answer.ACCEPTED: _accepted,
        Answer.REJECTED: _rejected,
        Answer.STARTED: _progressed(Trigger.COOKING_STARTED),
        Answer.COOKED: _progressed(Trigger.COOKED),
        Answer.ON_ITS_WAY: _progressed(Trigger.DELIVERY_STARTED),
        Answer.DELIVERED: _progressed(Trigger.DELIVERY_COMPLETED),
        Answer.LET_GO: _let_go,
        Answer.KEPT: _kept,
        Answer.REGRETTED: _regretted,
    }
)
