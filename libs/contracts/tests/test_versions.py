"""A change that breaks a reader is refused; a new version is made from the old one."""

from typing import Any, ClassVar

import pytest
from pizzeria_contracts.compatibility import breaking, reading_schema
from pizzeria_contracts.events import TicketCompleted, TicketCompletedV2, payload_model, read_as, versions
from pizzeria_contracts.payloads import Payload, Size
from pizzeria_contracts.schemas import broken, golden_entry, unreleased
from pydantic import BaseModel, Field
from rediscore.streams.event import decode_entry


class Line(BaseModel):
    pizza_id: str
    quantity: int = Field(ge=1)


class Before(Payload):
    event_type: ClassVar[str] = "pizzeria.test.happened.v1"

    order_id: str
    size: Size
    lines: tuple[Line, ...]
    note: str = ""


class WithMore(Before):
    """May be missing, so yesterday's events are read, and today's consumers pass it over."""

    driver_id: str | None = None


class ANewMust(Before):
    driver_id: str


class Gone(Payload):
    event_type: ClassVar[str] = "pizzeria.test.happened.v1"

    order_id: str
    size: Size
    lines: tuple[Line, ...]


class AnotherType(Before):
    order_id: int  # type: ignore[assignment]


class ATighterBound(Before):
    order_id: str = Field(max_length=10)


class AWiderChoice(Before):
    """Consumers of today would refuse the new word."""

    size: str  # type: ignore[assignment]


class LongerLine(Line):
    crust: str


class ANewMustWithin(Before):
    lines: tuple[LongerLine, ...]


@pytest.mark.parametrize(
    ("after", "sentences"),
    [
        (Before, []),
        (WithMore, []),
        (ANewMust, ["driver_id must be there now"]),
        (Gone, ["note is gone"]),
        (AnotherType, ["order_id is another type, or has other bounds"]),
        (ATighterBound, ["order_id is another type, or has other bounds"]),
        (AWiderChoice, ["size is another type, or has other bounds"]),
        (ANewMustWithin, ["lines is another type, or has other bounds"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_change_is_told_by_whom_it_breaks(after: type[Payload], sentences: list[str]) -> None:
    assert breaking(reading_schema(Before), reading_schema(after)) == sentences


def test_a_part_that_changes_is_named() -> None:
    before, after = reading_schema(Before), reading_schema(Before)
    after["$defs"]["Line"]["required"].append("crust")
    after["$defs"]["Line"]["properties"]["crust"] = {"type": "string"}
    assert breaking(before, after) == ["Line.crust must be there now"]


def test_nothing_that_was_released_is_broken_and_all_is_released() -> None:
    assert broken() == []
    assert unreleased() == []


def data_of(event_type: str) -> Any:
    return decode_entry({b"__data__": golden_entry(event_type)}).data


def test_both_versions_of_an_event_are_read_as_the_newer_one() -> None:
    old, new = "pizzeria.kitchen.ticket_completed.v1", "pizzeria.kitchen.ticket_completed.v2"
    assert list(versions(TicketCompletedV2)) == [new, old]
    assert list(versions(TicketCompleted)) == [old]
    read = read_as(TicketCompletedV2, old, data_of(old))
    assert read == read_as(TicketCompletedV2, new, data_of(new))
    assert read.milliseconds == 92_500
    assert isinstance(read_as(TicketCompleted, old, data_of(old)), TicketCompleted)
    with pytest.raises(LookupError, match="cannot be read as"):
        read_as(TicketCompleted, new, data_of(new))
    assert payload_model(new) is TicketCompletedV2


def test_a_version_that_does_not_say_how_it_is_made_is_no_class() -> None:
    with pytest.raises(TypeError, match="After follows Before; define `upcast`"):

        class After(Before):
            event_type: ClassVar[str] = "pizzeria.test.happened.v2"
            older: ClassVar[type[Payload] | None] = Before


def test_nothing_is_made_into_a_first_version() -> None:
    with pytest.raises(LookupError, match=r"happened\.v1 is a first version"):
        Before.upcast({"order_id": "o-1"})
