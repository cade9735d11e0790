"""The estimate: never better with more to do, exact where the kitchen works in rounds, and measured."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen_service.domain.estimate import (
    TYPICAL_COOKING,
    accuracy,
    at_work,
    ready_at,
    rounds,
    typical_cooking,
)
from kitchen_service.domain.station import ALL_SKILLS, ON_DUTY_FOR, Skill, Station

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

skill_sets = st.frozensets(st.sampled_from(list(Skill)), min_size=1)
kitchens = st.lists(
    st.builds(Station, id=st.just("s"), capacity=st.integers(1, 4), skills=skill_sets), min_size=1, max_size=5
)
work = st.dictionaries(st.sampled_from(list(Skill)), st.integers(0, 30))


def cooked_in(work: Mapping[Skill, int], stations: Sequence[Station]) -> int | None:
    """Rounds that a kitchen needs that gives each place the scarcest work that it can do; None: it cannot."""
    left = Counter(work)
    for number in range(1, 200):
        if not +left:
            return number - 1
        before = left.total()
        # Whoever can do little goes first, and then whoever can do all.
        for station in sorted(stations, key=lambda s: len(s.skills)):
            for _ in range(station.capacity):
                able = [skill for skill in station.skills if left[skill] > 0]
                if able:
                    left[max(able, key=lambda skill: left[skill])] -= 1
        if left.total() == before:
            return None
    return None


@given(work, kitchens)
def test_no_kitchen_is_faster_than_the_estimate(own: dict[Skill, int], stations: list[Station]) -> None:
    needed = cooked_in(own, stations)
    if needed is not None:
        assert rounds({}, own, stations) <= needed


@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 8))
def test_in_a_kitchen_where_all_can_do_all_it_is_exact(ahead: int, own: int, places: int) -> None:
    stations = [Station(f"s{n}", 1) for n in range(places)]
    assert rounds({Skill.OVEN: ahead}, {Skill.OVEN: own}, stations) == -(-(ahead + own) // places)


@pytest.mark.proves("P8")
@given(work, work, kitchens)
def test_it_grows_with_the_work_and_shrinks_with_places(
    ahead: dict[Skill, int], own: dict[Skill, int], stations: list[Station]
) -> None:
    guess = rounds(ahead, own, stations)
    assert (guess > 0) == any(own.values())
    for skill in Skill:
        assert rounds(Counter(ahead) + Counter({skill: 1}), own, stations) >= guess
        assert rounds(ahead, Counter(own) + Counter({skill: 1}), stations) >= guess
    assert rounds(ahead, own, [*stations, Station("new", 1)]) <= guess


def test_what_only_the_grill_can_do_does_not_wait_for_the_ovens_and_the_other_way_round() -> None:
    stations = [Station("oven", 2, frozenset({Skill.OVEN})), Station("grill", 1, frozenset({Skill.GRILL}))]
    ahead = {Skill.OVEN: 10}
    assert rounds(ahead, {Skill.GRILL: 1}, stations) == 4  # all places share all work
    assert rounds(ahead, {Skill.OVEN: 1}, stations) == 6
    assert rounds({Skill.GRILL: 9}, {Skill.GRILL: 1}, stations) == 10


def test_one_pizza_in_an_empty_kitchen_takes_what_one_pizza_takes() -> None:
    ready = ready_at(
        start=NOW, ahead={}, own={Skill.OVEN: 1}, stations=[Station("s", 8)], cooking=TYPICAL_COOKING
    )
    assert ready == NOW + TYPICAL_COOKING
    assert typical_cooking([]) == TYPICAL_COOKING
    assert typical_cooking([timedelta(seconds=2), timedelta(seconds=4)]) == timedelta(seconds=3)


def test_only_stations_on_duty_count_once_somebody_is() -> None:
    silent, closed = Station("silent", 2), Station("closed", 2, ALL_SKILLS, open=False, seen_at=NOW)
    busy = Station("busy", 2, seen_at=NOW - ON_DUTY_FOR / 2)
    assert at_work([silent, closed, busy], NOW) == [busy]
    assert at_work([silent, closed, busy], NOW + ON_DUTY_FOR) == [silent, busy]


def test_the_error_is_a_mean_without_signs_and_the_bias_one_with_them() -> None:
    told = [(NOW, NOW + timedelta(seconds=30)), (NOW, NOW - timedelta(seconds=10))]
    found = accuracy(told)
    assert (found.orders, found.mean_absolute_error, found.bias) == (
        2, timedelta(seconds=20), timedelta(seconds=10),
    )  # fmt: skip
    assert accuracy([]).mean_absolute_error is None
