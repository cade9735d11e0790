"""redis-py's client for a cluster: the same class and methods as for one server, routed by us."""

from collections.abc import Awaitable
from typing import Any

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from rediscore.transport.cluster import ClusterTransport
from rediscore.transport.connection import Endpoint
from rediscore.transport.pool import Pool
from rediscore.transport.slots import slot_of

_REDIRECTED = (redis.exceptions.AskError, redis.exceptions.TryAgainError)


class RoutedRedis(Redis):
    """A `Redis` whose commands, pipelines and subscriptions find their node.

    redis-py's RedisCluster is not used: it sends ASKING over whatever connection is free, raises when its
    100 connections are taken, and closes the connections of all callers when one slot is down.
    """

    def __init__(self, cluster: ClusterTransport[Pool], anywhere: "AnyPrimary") -> None:
        super().__init__(connection_pool=anywhere)
        self._cluster = cluster

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async def send(node: Pool, asking: bool) -> Any:
            connection = await node.get_connection()
            try:
                if asking:
                    await connection.send_command("ASKING")
                    await connection.read_response()
                await connection.send_command(*args)
                return await self.parse_response(connection, args[0], **dict(options))
            finally:
                await node.release(connection)

        return await self._cluster.follow(slot_of(args), send)

    def scan_iter(self, *args: Any, **options: Any) -> Any:
        raise ValueError("A cursor means something to one node only: use RedisConnections.scan_keys.")

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "RoutedPipeline":
        return RoutedPipeline(self._cluster, self, transaction, shard_hint)


class RoutedPipeline(Pipeline):
    """A pipeline for keys of one slot.

    It follows its slot to another node when it is certain that nothing was done; a slot on its way is a
    ConnectionError.

    Raises: ValueError when its keys are in several slots.
    """

    def __init__(
        self, cluster: ClusterTransport[Pool], client: Redis, transaction: bool, shard_hint: str | None
    ) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._cluster = cluster

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if self.connection is None:  # the first WATCH decides about the node
            topology = self._cluster.topology
            self.connection_pool = self._cluster.node(await topology.owner(slot_of(args)))
        return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        if not stack or self.connection is not None:
            return await super().execute(raise_on_error)
        slots = {slot for arguments, _ in stack if (slot := slot_of(arguments)) is not None}
        if len(slots) > 1:
            raise ValueError("A pipeline on a cluster needs keys of one slot: give them the same hash tag.")
        return await self._cluster.follow(
            next(iter(slots), None), lambda node, asking: self._send(node, stack, raise_on_error)
        )

    def _send(self, node: Pool, stack: list[Any], raise_on_error: bool) -> Awaitable[list[Any]]:
        self.connection_pool = node
        self.command_stack = list(stack)
        if self.is_transaction or self.explicit_transaction:
            return self._all_or_nothing(raise_on_error)
        return self._one_by_one(stack, raise_on_error)

    async def _all_or_nothing(self, raise_on_error: bool) -> list[Any]:
        try:
            return await super().execute(raise_on_error)
        except redis.exceptions.MovedError:
            raise
        except _REDIRECTED:
            raise redis.exceptions.ConnectionError(
                "The slot is on its way to another node; the transaction was not done."
            ) from None

    async def _one_by_one(self, stack: list[Any], raise_on_error: bool) -> list[Any]:
        replies = await super().execute(raise_on_error=False)
        if all(isinstance(reply, redis.exceptions.MovedError) for reply in replies):
            raise replies[0]
        if raise_on_error:
            if any(isinstance(reply, _REDIRECTED) for reply in replies):
                raise redis.exceptions.ConnectionError("The slot moved; a part of the pipeline was not done.")
            self.raise_first_error(stack, replies)
        return replies


class AnyPrimary(Pool):
    """What redis-py asks for a connection when no key decides: subscriptions, MONITOR."""

    def __init__(self, cluster: ClusterTransport[Pool], endpoint: Endpoint) -> None:
        super().__init__(endpoint, size=1, wait=1)
        self._cluster = cluster
        self._homes: dict[Any, Pool] = {}

    @property
    def in_use(self) -> int:
        return sum(node.in_use for node in self._cluster.nodes)

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        async def take(node: Pool, _: bool) -> Any:
            connection = await node.get_connection()
            self._homes[connection] = node
            return connection

        return await self._cluster.follow(None, take)

    async def release(self, connection: Any) -> None:
        await self._homes.pop(connection).release(connection)
