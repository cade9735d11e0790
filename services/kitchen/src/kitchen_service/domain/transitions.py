"""A state machine as one table of data: the same table feeds the code, the README and the property tests."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from kitchen_service.domain.errors import WrongState

State = TypeVar("State", bound=StrEnum)
Step = TypeVar("Step", bound=StrEnum)


def advance(
    table: Mapping[tuple[State, Step], State], state: State, step: Step, *, what: str, name: str
) -> State:
    """The state after `step`.

    Raises: WrongState when the table has no such step from `state`.
    """
    try:
        return table[(state, step)]
    except KeyError:
        raise WrongState(f"{what} {name} is {state}: {step} is not possible now.") from None
