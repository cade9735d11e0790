"""How a process learns that keys were changed by others, for what it keeps in memory."""

from collections.abc import Sequence
from typing import Protocol


class InvalidationListener(Protocol):
    """Called in the event loop, at once, one call after the other; must not block or raise."""

    def invalidated(self, keys: Sequence[bytes] | None) -> None:
        """These keys were written, deleted or expired; None: all of them (FLUSHALL)."""
        ...

    def interrupted(self) -> None:
        """From now on changes may be missed: what is kept counts as unknown, and nothing new is kept."""
        ...

    def resumed(self) -> None:
        """Every change from now on is heard. Said again and again while that is so."""
        ...


class Invalidations(Protocol):
    """A feed of changed keys. Until `resumed` is called for the first time a listener counts as interrupted.

    A lost connection, or one that says nothing within the heartbeat, is told by `interrupted`: no change
    stays unknown for longer than that.
    """

    heartbeat: float
    """Seconds: after so long without another `resumed` nothing may be trusted, whatever the reason: a
    blocked event loop and a stopped process cannot tell."""

    def watch(self, prefix: str, listener: InvalidationListener) -> None:
        """Tell `listener` about keys that begin with `prefix`. Prefixes of one feed never overlap."""
        ...

    def unwatch(self, prefix: str) -> None:
        """Stop that."""
        ...
