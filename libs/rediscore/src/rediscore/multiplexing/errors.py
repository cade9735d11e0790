"""Errors of the multiplexed transport."""

from rediscore.errors import RediscoreError


class NotMultiplexedError(RediscoreError):
    """The command changes the state of its connection, and this one belongs to everybody."""
