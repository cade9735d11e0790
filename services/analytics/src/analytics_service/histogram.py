"""A histogram of durations that can be added up, with percentiles of a known error.

Log-linear buckets, as HdrHistogram has them: each power of two is cut into 16 equal buckets, so a bucket is
at most a sixteenth of its lower bound wide. Below 16 ms every value has a bucket of its own. Adding the
counts of two histograms, or taking some away, gives the histogram of what is left: no order matters.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

_PER_OCTAVE_BITS: Final = 4
_PER_OCTAVE: Final = 1 << _PER_OCTAVE_BITS

RELATIVE_ERROR: Final = 1 / (2 * _PER_OCTAVE)
"""A percentile is off by at most this share of the true value: 3.125 %."""

LONGEST_MS: Final = 7 * 24 * 3600 * 1000
"""Longer durations count as a week: clocks that are wrong by years must not make new buckets."""


def bucket_of(milliseconds: int) -> int:
    """The number of the bucket that a duration falls into; negative durations count as 0."""
    value = min(max(milliseconds, 0), LONGEST_MS)
    octave = max(value.bit_length() - _PER_OCTAVE_BITS - 1, 0)
    return (octave << _PER_OCTAVE_BITS) + (value >> octave)


def middle_of(bucket: int) -> float:
    """The middle of a bucket in milliseconds."""
    octave = max((bucket >> _PER_OCTAVE_BITS) - 1, 0)
    lowest = (bucket - (octave << _PER_OCTAVE_BITS)) << octave
    return lowest + ((1 << octave) - 1) / 2


def percentile(counts: Mapping[int, int], percent: float) -> float | None:
    """The smallest duration (ms) that `percent` of all do not exceed, by RELATIVE_ERROR; None without any.

    Args:
        counts: number of durations by bucket.
        percent: above 0, at most 100.
    """
    total = sum(counts.values())
    if not total:
        return None
    wanted = max(percent * total / 100, 1)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            break
    return middle_of(bucket)


def histogram(milliseconds: list[int]) -> Counter[int]:
    """The histogram of these durations."""
    return Counter(map(bucket_of, milliseconds))
