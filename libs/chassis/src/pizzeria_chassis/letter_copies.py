"""The letters in Redis, for a service that keeps its own in SQL."""

import structlog
from redis.exceptions import RedisError
from rediscore.client import RedisConnections
from rediscore.streams import DeadLetterBox

from pizzeria_chassis.letters import Letter

__all__ = ["LetterCopies"]

_log = structlog.get_logger(__name__)


class LetterCopies:
    """Keeps `<stream>.dead` from showing what was decided upon here. Best effort: what counts is in SQL."""

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections

    async def remove(self, letter: Letter, *, by: str, why: str) -> None:
        """Take the copy of a letter out of Redis, if it is there. One round trip; errors are logged."""
        stream, _, entry_id = (letter.copy or "").rpartition("/")
        if not stream:
            return
        try:
            await DeadLetterBox(self._connections, stream).drop(entry_id, by=by, why=why)
        except RedisError as error:
            _log.warning("letter_copy_stays", stream=stream, letter=letter.id, error=type(error).__name__)
