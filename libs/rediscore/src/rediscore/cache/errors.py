"""What a cache raises by itself."""

from rediscore.errors import RediscoreError


class CacheError(RediscoreError):
    """Base of the errors of a cache."""


class LoadTimeout(CacheError):  # noqa: N818  named by what happened
    """The value was not there within `hard_timeout`, and there is no old one to serve."""


class LoadCancelled(CacheError):  # noqa: N818
    """The computation that this caller shared was cancelled from outside: the cache was closed, or the
    factory let a CancelledError out that was not meant for it. Try again."""


class NotANumber(CacheError):  # noqa: N818
    """What lies under the key is no whole number below 2^53, so nothing can be added to it."""
