"""The saga of an order: what each step asks of whom, where each answer leads, and what undoes it.

`SAGA` is the whole story and the only one: `steps.hear` acts by it, the README shows it, the tests walk
it. Whatever calls an order off leads to the one compensation, `refund`: it settles what the provider
really holds and ends the order as cancelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """What the saga waits for, order by order; nothing any more = None."""

    CHARGE = "charge"
    LOOKUP = "lookup"
    AWAIT_SCHEDULE = "await_schedule"
    AWAIT_KITCHEN = "await_kitchen"
    AWAIT_COOK = "await_cook"
    AWAIT_DELIVERY = "await_delivery"
    REFUND = "refund"


class Asked(StrEnum):
    PROVIDER = "payment provider"
    CLOCK = "clock"
    KITCHEN = "kitchen"


class Answer(StrEnum):
    """What may come of a step; by whom it is said."""

    # the payment provider, or what we make of its silence
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    UNKNOWN = "unknown"
    REFUNDED = "refunded"
    SILENCE = "no answer"
    NOT_ASKED = "not asked"
    # the clock
    TOO_EARLY = "too early"
    TIME_HAS_COME = "time has come"
    DEADLINE_MISSED = "deadline missed"
    NEWS_ON_THE_WAY = "news on the way"
    # the kitchen
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    STARTED = "started"
    COOKED = "cooked"
    ON_ITS_WAY = "on its way"
    DELIVERED = "delivered"
    LET_GO = "let go"
    KEPT = "kept"
    # the guest
    REGRETTED = "regretted"


@dataclass(frozen=True)
class Stage:
    """One step: who is asked for what, and what follows each answer, the usual one first (None: the end).

    What is not listed comes too late to matter and changes nothing.
    """

    asked: Asked
    what: str
    answers: Mapping[Answer, Step | None]


SAGA: Final[Mapping[Step, Stage]] = {
    Step.CHARGE: Stage(
        Asked.PROVIDER,
        "capture the total; the key is the order's id, so asking twice charges once",
        {
            Answer.CAPTURED: Step.AWAIT_SCHEDULE,
            Answer.DECLINED: None,
            Answer.VOIDED: None,
            Answer.SILENCE: Step.LOOKUP,  # never guess
            Answer.NOT_ASKED: Step.CHARGE,
            Answer.REGRETTED: Step.REFUND,
        },
    ),
    Step.LOOKUP: Stage(
        Asked.PROVIDER,
        "say what is held under the key",
        {
            Answer.CAPTURED: Step.AWAIT_SCHEDULE,
            Answer.DECLINED: None,
            Answer.VOIDED: None,
            Answer.UNKNOWN: Step.CHARGE,  # it never arrived: the same key may be sent again
            Answer.SILENCE: Step.LOOKUP,
            Answer.NOT_ASKED: Step.LOOKUP,
            Answer.REGRETTED: Step.REFUND,
        },
    ),
    Step.AWAIT_SCHEDULE: Stage(
        Asked.CLOCK,
        "say when the kitchen must begin for the order to be ready in time; at once when it is for now",
        {
            Answer.TIME_HAS_COME: Step.AWAIT_KITCHEN,
            Answer.TOO_EARLY: Step.AWAIT_SCHEDULE,
            Answer.REGRETTED: Step.REFUND,
        },
    ),
    Step.AWAIT_KITCHEN: Stage(
        Asked.KITCHEN,
        "reserve the ingredients and accept, before the deadline",
        {
            Answer.ACCEPTED: Step.AWAIT_COOK,
            Answer.REJECTED: Step.REFUND,
            Answer.DEADLINE_MISSED: Step.REFUND,
            Answer.NEWS_ON_THE_WAY: Step.AWAIT_KITCHEN,
            # What follows acceptance implies it, should that have become a dead letter.
            Answer.STARTED: Step.AWAIT_COOK,
            Answer.COOKED: Step.AWAIT_DELIVERY,
            Answer.ON_ITS_WAY: Step.AWAIT_DELIVERY,
            Answer.DELIVERED: None,
            Answer.REGRETTED: Step.AWAIT_KITCHEN,  # the kitchen is asked; it decides
            Answer.LET_GO: Step.REFUND,
            Answer.KEPT: Step.AWAIT_KITCHEN,
        },
    ),
    Step.AWAIT_COOK: Stage(
        Asked.KITCHEN,
        "cook every pizza",
        {
            Answer.COOKED: Step.AWAIT_DELIVERY,
            Answer.STARTED: Step.AWAIT_COOK,
            Answer.ON_ITS_WAY: Step.AWAIT_DELIVERY,
            Answer.DELIVERED: None,
            Answer.REJECTED: Step.REFUND,
            Answer.REGRETTED: Step.AWAIT_COOK,
            Answer.LET_GO: Step.REFUND,
            Answer.KEPT: Step.AWAIT_COOK,
        },
    ),
    Step.AWAIT_DELIVERY: Stage(
        Asked.KITCHEN,
        "bring it to the guest",
        {
            Answer.DELIVERED: None,
            Answer.ON_ITS_WAY: Step.AWAIT_DELIVERY,
            Answer.KEPT: Step.AWAIT_DELIVERY,
        },
    ),
    Step.REFUND: Stage(
        Asked.PROVIDER,
        "give back what was captured, and take nothing under this key ever after",
        {
            Answer.REFUNDED: None,
            Answer.SILENCE: Step.REFUND,  # for ever, with backoff; the guest is told meanwhile
            Answer.NOT_ASKED: Step.REFUND,
        },
    ),
}

# Asking the provider is done at once by whoever holds the step; the others are waited for.
CALLS: Final = tuple(step for step, stage in SAGA.items() if stage.asked is Asked.PROVIDER)
# Here the kitchen has not heard of the order: calling it off is ours to decide.
BEFORE_THE_KITCHEN: Final = (Step.CHARGE, Step.LOOKUP, Step.AWAIT_SCHEDULE)
OF_THE_KITCHEN: Final = frozenset(
    {
        Answer.ACCEPTED,
        Answer.REJECTED,
        Answer.STARTED,
        Answer.COOKED,
        Answer.ON_ITS_WAY,
        Answer.DELIVERED,
        Answer.LET_GO,
        Answer.KEPT,
    }
)


def rows() -> list[tuple[Step, Answer, Step | None]]:
    """The table row by row."""
    return [(step, answer, then) for step, stage in SAGA.items() for answer, then in stage.answers.items()]


def diagram() -> str:
    """The table as a Mermaid state diagram, for the README; what leads back to its own step is left out."""
    ways: dict[tuple[Step, Step | None], list[str]] = {}
    for step, answer, then in rows():
        if then is not step:
            ways.setdefault((step, then), []).append(answer)
    lines = [
        f"    {step} --> {then or '[*]'}: {', '.join(answers)}" for (step, then), answers in ways.items()
    ]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Step.CHARGE}", *lines])


def markdown() -> str:
    """The table for people, for the README."""
    lines = ["| Step | Asks the | to | Answers | Called off by |", "|---|---|---|---|---|"]
    for step, stage in SAGA.items():
        onward = ", ".join(
            f"{answer} → `{then}`" if then else f"{answer} → end"
            for answer, then in stage.answers.items()
            if then is not Step.REFUND or step is Step.REFUND
        )
        undone = ", ".join(
            answer for answer, then in stage.answers.items() if then is Step.REFUND is not step
        )
        back = f"{undone} → `refund`" if undone else ""
        lines.append(f"| `{step}` | {stage.asked} | {stage.what} | {onward} | {back} |")
    return "\n".join(lines)
