"""Which primary of a cluster serves which slot."""

import asyncio
import random
import time
from collections.abc import Iterable

import redis.exceptions

from rediscore.settings import RedisSettings
from rediscore.transport.connection import Address, Endpoint

SLOTS = 16_384
_PAUSE = 0.1
"""Seconds between two looks at the cluster, however many commands fail."""


class Topology:
    """The map of slots; shared by all transports of one `RedisConnections`.

    It is read when first needed and after a redirection or a lost connection, over a connection of its
    own to any node that answers: those of the settings or those found since.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._seeds: tuple[Address, ...] = settings.cluster_nodes or ((settings.host, settings.port),)
        self._owner: list[Address | None] = [None] * SLOTS
        self._primaries: tuple[Address, ...] = ()
        self._doubted = True
        self._looked = -_PAUSE
        self._looking = asyncio.Lock()

    async def owner(self, slot: int | None) -> Address:
        """Address of the primary of `slot`, or of any for None. No I/O while nothing is in doubt.

        Raises: redis-py's ConnectionError when no node answers or the slot is not served now.
        """
        if self._doubted:
            await self._refresh()
        address = random.choice(self._primaries) if slot is None else self._owner[slot]  # noqa: S311
        if address is None:
            self._doubted = True
            raise redis.exceptions.ConnectionError(f"No node of the cluster serves slot {slot} now.")
        return address

    async def primaries(self) -> tuple[Address, ...]:
        """Addresses of all primaries that serve slots."""
        if self._doubted:
            await self._refresh()
        return self._primaries

    def doubt(self) -> None:
        """Something failed: look again before the next command."""
        self._doubted = True

    def moved(self, slot: int, address: Address) -> None:
        """A node said who serves `slot`; others have probably moved as well."""
        self._owner[slot] = address
        self._doubted = True

    async def _refresh(self) -> None:
        async with self._looking:
            if not self._doubted or (self._primaries and time.monotonic() < self._looked + _PAUSE):
                return
            faults = []
            for address in dict.fromkeys((*self._primaries, *self._seeds)):
                try:
                    self._take_over(address, await self._ask(address))
                    return
                except redis.exceptions.RedisError as error:
                    faults.append(f"{address[0]}:{address[1]}: {error}")
            self._looked = time.monotonic()
            if not self._primaries:
                raise redis.exceptions.ConnectionError(
                    f"No node of the cluster answers ({'; '.join(faults)})."
                )
            # Otherwise the map of before is the best there is; the command itself will tell.

    async def _ask(self, address: Address) -> Iterable[tuple[int, int, list[bytes]]]:
        connection = Endpoint(self._settings, address).connection()
        try:
            await connection.connect()
            await connection.send_command("CLUSTER", "SLOTS")
            rows = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        return [(int(row[0]), int(row[1]), row[2]) for row in rows]

    def _take_over(self, asked: Address, ranges: Iterable[tuple[int, int, list[bytes]]]) -> None:
        owner: list[Address | None] = [None] * SLOTS
        for first, last, node in ranges:
            # A node that does not know its own name leaves it out: it is where we asked.
            address = (node[0].decode() if node[0] else asked[0], int(node[1]))
            owner[first : last + 1] = [address] * (last + 1 - first)
        found = tuple(dict.fromkeys(address for address in owner if address is not None))
        if not found:
            raise redis.exceptions.ConnectionError("The node serves no slots and knows nobody who does.")
        self._owner, self._primaries = owner, found
        self._doubted = None in owner
        self._looked = time.monotonic()
