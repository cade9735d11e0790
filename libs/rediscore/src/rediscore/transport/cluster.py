"""Commands to the nodes of a cluster: routed by slot, redirections followed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import redis.exceptions

from rediscore.scripts import Argument
from rediscore.settings import RedisSettings
from rediscore.transport.connection import Address, Endpoint
from rediscore.transport.protocol import Transport
from rediscore.transport.slots import slot_of
from rediscore.transport.topology import Topology

N = TypeVar("N", bound=Transport)
T = TypeVar("T")

_TRY_AGAIN = 0.02


class ClusterTransport(Generic[N]):
    """A `Transport` with one transport per node.

    What a node refuses because the slot is elsewhere (MOVED, ASK, TRYAGAIN) it has not done, so that is
    sent again, to the right node. What was not answered is not: the caller hears of it, and the map of
    slots is read again before the next command.

    Args:
        make: the transport to one node; called once per address.
    """

    def __init__(self, settings: RedisSettings, topology: Topology, make: Callable[[Endpoint], N]) -> None:
        self._settings = settings
        self.topology = topology
        self._make = make
        self._nodes: dict[Address, N] = {}

    async def execute(self, *command: Argument, asking: bool = False) -> Any:
        """See `Transport`. One round trip, one more per redirection."""

        def send(node: N, asking: bool) -> Awaitable[Any]:
            return node.execute(*command, asking=asking)

        return await self.follow(slot_of(command), send)

    async def follow(self, slot: int | None, send: Callable[[N, bool], Awaitable[T]]) -> T:
        """Let `send(node, asking)` act at the primary of `slot`, and again where that redirects to."""
        address, asking = await self.topology.owner(slot), False
        refused = None
        while True:
            try:
                return await send(self.node(address), asking)
            except redis.exceptions.MovedError as moved:
                address, asking = (moved.host or address[0], moved.port), False
                self.topology.moved(moved.slot_id, address)
            except redis.exceptions.AskError as ask:
                address, asking = (ask.host or address[0], ask.port), True
            except redis.exceptions.TryAgainError:
                await asyncio.sleep(_TRY_AGAIN)
            except redis.exceptions.ClusterDownError as refusal:
                self.topology.doubt()
                raise redis.exceptions.ConnectionError(
                    f"The cluster does not serve this now, the command was not done: {refusal}"
                ) from None
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                self.topology.doubt()
                raise
            # Counted from the first refusal: a blocking command may have waited long before it.
            refused = refused or time.monotonic()
            if time.monotonic() > refused + self._settings.socket_timeout:
                raise redis.exceptions.ConnectionError(
                    "The nodes of the cluster do not agree about a slot; the command was not done."
                )

    async def primaries(self) -> list[N]:
        """The transports to all primaries."""
        return [self.node(address) for address in await self.topology.primaries()]

    @property
    def nodes(self) -> tuple[N, ...]:
        """The transports made so far."""
        return tuple(self._nodes.values())

    def node(self, address: Address) -> N:
        """The transport to this node."""
        found = self._nodes.get(address)
        if found is None:
            found = self._nodes[address] = self._make(Endpoint(self._settings, address))
        return found

    async def aclose(self) -> None:
        """Close every transport made here."""
        nodes, self._nodes = list(self._nodes.values()), {}
        for node in nodes:
            await node.aclose()
