"""One base class for everything that rediscore raises by itself; errors of the wire stay redis-py's own."""


class RediscoreError(Exception):
    """Base of all errors of this library."""


class SettingsError(RediscoreError):
    """The environment does not describe a usable Redis; the message names the variable, never its value."""


class LeaseLost(RediscoreError):  # noqa: N818  named like asyncio.QueueFull: by what happened
    """What was held for a limited time is held no longer."""


class StaleLease(LeaseLost):
    """The fencing token is not that of the current holder: stop the work, its result counts for nothing."""


class QueueFull(RediscoreError):  # noqa: N818
    """The queue holds as many entries as it may; try again later or refuse the work."""
