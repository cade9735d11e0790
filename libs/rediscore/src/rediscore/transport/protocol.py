"""What carries a command: the pool, the multiplexer, the router of a cluster."""

from collections.abc import Awaitable
from typing import Any, Protocol

from rediscore.scripts import Argument


class Transport(Protocol):
    """Carries commands that answer at once, each sent once.

    It raises redis-py's ConnectionError or TimeoutError when the answer is not known, ResponseError when
    the server refuses, and sends nothing again that a server may have done.
    """

    def execute(self, *command: Argument, asking: bool = False) -> Awaitable[Any]:
        """The reply as it came (RESP3, bytes).

        Args:
            asking: send ASKING right before it on the same connection (a slot of a cluster on its way).
        """
        ...

    async def aclose(self) -> None:
        """Close every connection; what is under way fails."""
        ...
