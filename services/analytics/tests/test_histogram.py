"""The histogram of durations: its error is bounded, and it can be added up."""

from math import ceil

import pytest
from analytics_service.histogram import (
    LONGEST_MS,
    RELATIVE_ERROR,
    bucket_of,
    histogram,
    middle_of,
    percentile,
)
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.proves("P11")

durations = st.one_of(st.integers(0, 100), st.integers(0, 3_600_000), st.integers(0, LONGEST_MS))
some = st.lists(durations, min_size=1, max_size=60)


def close(found: float, true: int) -> bool:
    return abs(found - true) <= RELATIVE_ERROR * true


@settings(max_examples=200, deadline=None)
@given(durations)
def test_a_duration_is_near_the_middle_of_its_bucket(value: int) -> None:
    assert close(middle_of(bucket_of(value)), value)


@settings(max_examples=100, deadline=None)
@given(durations, durations)
def test_buckets_are_in_the_order_of_durations(one: int, other: int) -> None:
    if one <= other:
        assert bucket_of(one) <= bucket_of(other)
        assert middle_of(bucket_of(one)) <= middle_of(bucket_of(other))


@settings(max_examples=100, deadline=None)
@given(some, st.integers(1, 100))
def test_percentiles_are_off_by_the_stated_error_at_most(values: list[int], percent: int) -> None:
    true = sorted(values)[max(ceil(percent * len(values) / 100), 1) - 1]
    found = percentile(histogram(values), percent)
    assert found is not None
    assert close(found, true)


@settings(max_examples=50, deadline=None)
@given(some, some)
def test_histograms_add_up_and_can_be_taken_away_again(one: list[int], other: list[int]) -> None:
    both = histogram(one) + histogram(other)
    assert both == histogram(other + one)
    assert both - histogram(other) == histogram(one)


def test_what_cannot_be_is_bounded() -> None:
    assert bucket_of(-5) == bucket_of(0) == 0
    assert bucket_of(10**15) == bucket_of(LONGEST_MS) < 500
    assert percentile({}, 50) is None
