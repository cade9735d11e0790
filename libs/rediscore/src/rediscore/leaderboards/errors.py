"""What can be wrong with a score."""

from rediscore.errors import RediscoreError


class ScoreOutOfRange(RediscoreError):  # noqa: N818  named by what happened
    """Beyond 2^53 scores would collapse: different ones would count as equal. Use a coarser unit."""


class PeriodOver(RediscoreError):  # noqa: N818
    """The board of that period has expired and takes no scores any more."""
