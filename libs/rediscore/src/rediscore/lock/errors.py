"""What can go wrong with a lock."""

from rediscore.errors import LeaseLost, RediscoreError


class LockTimeout(RediscoreError):  # noqa: N818  named like asyncio.QueueFull: by what happened
    """The lock did not become free in time; nothing is held."""


class LockLost(LeaseLost):
    """The lock was not held to the end: what the body did may count for nothing."""
