"""The only file that touches private parts of redis-py; tests/multiplexing/test_redis_py.py names each.

redis-py makes the connection: address, TCP or TLS, HELLO, AUTH, name, database, and the checks of the
endpoint. Then the transport under its stream gets another protocol, and redis-py reads no more from it.
"""

import asyncio
from typing import Any, cast

import redis.exceptions
from redis._parsers.base import BaseParser

from rediscore.transport import ServerConnection

parse_error: Any = BaseParser.parse_error
"""Text of an error reply → redis-py's exception for it."""


async def take_over(connection: ServerConnection, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
    """Connect, and let `protocol` have the transport. Close it with `give_up`.

    Raises: redis-py's ConnectionError, TimeoutError or AuthenticationError; then nothing is left open.
    """
    try:
        await connection.connect()
        transport = connection._writer.transport  # type: ignore[union-attr]  # it is connected
        if transport.is_closing() or await connection.can_read():
            raise redis.exceptions.ConnectionError("The connection ended, or spoke without being asked.")
    except BaseException:
        connection.close_now()
        raise
    transport.set_protocol(protocol)
    return cast("asyncio.Transport", transport)


def give_up(connection: ServerConnection) -> None:
    """Close at once what `take_over` gave. Until then it must be kept: a stream closes when it is dropped."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    connection.close_now()
