"""Effects in Redis that happen once, however often their event is delivered."""

from collections.abc import Sequence
from datetime import timedelta

from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Argument, Script

_APPLY = Script.load("rediscore.streams.lua", "apply_once.lua")


class RedisInbox:
    """The inbox for handlers whose effects are in the same Redis as the inbox itself.

    The effect and the mark of its event are one script: a crash leaves both or none, and a redelivery finds
    the mark. An effect elsewhere (SQL, a call over HTTP) needs an inbox there: between it and a mark in
    Redis a crash always has room. A wipe takes effects and marks alike.

    Args:
        group: two groups have the same event once each.
        remembered: how long an event is known; longer than an operator may wait with a dead letter.
    """

    def __init__(
        self,
        connections: RedisConnections,
        *,
        keys: KeySpace,
        group: str,
        remembered: timedelta = timedelta(days=7),
    ) -> None:
        self._connections = connections
        self._keys = keys
        self._group = group
        self._remembered_ms = round(remembered.total_seconds() * 1000)

    def mark(self, event_id: str, *, tag: str | None = None) -> str:
        """The key that says that an event had its effect, for scripts of your own: they `SET` it with `NX`
        and `PX` before anything else, and do nothing when it was there."""
        return f"{self._keys.key('inbox', self._group, tag=tag or self._group)}:{event_id}"

    async def apply(
        self, event_id: str, effects: Sequence[Sequence[Argument]], *, tag: str | None = None
    ) -> bool:
        """Run commands unless they ran for this event before; False then. One round trip, safe to send twice.

        Args:
            effects: commands of one key each: `("HINCRBY", "stock", "olives", -3)`.
            tag: the hash tag of their keys, on a cluster.

        Raises: redis-py's ResponseError when a command is refused. When it was the first, nothing has
            happened. Else those before it have, and every repetition raises the same: the event becomes a
            dead letter, and is never applied by halves twice.
        """
        if not effects or any(len(command) < 2 for command in effects):
            raise ValueError("Give at least one command, each with its name and its key.")
        args: list[Argument] = [self._remembered_ms]
        for command in effects:
            args += [len(command) - 1, command[0], *command[2:]]
        applied: int = await _APPLY(
            self._connections,
            keys=[self.mark(event_id, tag=tag), *(str(command[1]) for command in effects)],
            args=args,
            idempotent=True,
        )
        return applied == 1
