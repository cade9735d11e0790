"""How far a consumer has come, whatever the order in which positions are done."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pizzeria_chassis.positions import PositionTracker
from pizzeria_chassis.subject_order import SubjectOrder
from rediscore.streams.event import RawEvent


def _event(subject: str, sequence: int | None) -> RawEvent:
    return RawEvent.model_validate(
        {
            "id": "e", "source": "/s", "type": "t", "subject": subject, "sequence": sequence,
            "time": "2026-11-21T12:00:00Z", "data": {},
        }
    )  # fmt: skip


@pytest.mark.proves("I5")
@given(
    st.lists(st.integers(min_value=1, max_value=30), max_size=60),
    st.integers(min_value=0, max_value=10),
    st.integers(min_value=0, max_value=60),
)
def test_contiguous_is_the_highest_position_with_everything_below_done(
    places: list[int], start: int, reset_after: int
) -> None:
    tracker = PositionTracker()
    done: set[int] = set()
    for index, place in enumerate(places):
        if index == reset_after:
            tracker.reset(start)
            done |= set(range(1, start + 1))
        before = tracker.contiguous
        tracker.done(place, skipped=f"e-{place}")
        done.add(place)
        expected = 0
        while expected + 1 in done:
            expected += 1
        assert tracker.contiguous == expected >= before
        assert all(tracker.is_done(each) for each in done)
        assert (tracker.gap_seconds > 0) == bool({each for each in done if each > expected})
        assert set(tracker.skipped) <= {each for each in done if each > expected}


async def test_waiting_for_a_position() -> None:
    tracker = PositionTracker()
    waiting = asyncio.create_task(tracker.reach(3, 30))
    for place in (3, 1, 2):
        assert not waiting.done()
        await asyncio.sleep(0)
        tracker.done(place)
    assert await waiting
    assert not await tracker.reach(4, 0.001)


def test_events_without_a_position_change_nothing() -> None:
    tracker = PositionTracker()
    tracker.done(None)
    assert (tracker.contiguous, tracker.gap_seconds) == (0, 0)


@pytest.mark.proves("I7")
def test_an_event_follows_only_when_its_predecessor_is_known_to_be_handled() -> None:
    order = SubjectOrder(remembered=2)
    assert order.follows(_event("a", 1))
    assert not order.follows(_event("a", 2))
    order.note("a", 1)
    assert order.follows(_event("a", 2))
    assert not order.follows(_event("a", 3))
    order.note("a", 5)
    order.note("a", 3)
    assert order.follows(_event("a", 6)), "a late repeat does not turn the clock back"
    order.note("b", 1)
    order.note("c", 1)
    assert not order.follows(_event("a", 6)), "forgotten means looked up, not assumed"
    assert order.follows(_event("d", None))
