"""MessagePack: like JSON, smaller, with bytes and datetimes."""

from typing import Any

from rediscore.serialisers.protocol import UnreadableValue


class Msgpack:
    """What JSON knows, and bytes, aware datetimes (they come back in UTC) and keys of dicts other than text.

    Integers are bounded by 64 bits. `dumps` refuses tuples, sets and objects. Needs the extra `msgpack`.

    Raises: ImportError when that is not installed.
    """

    def __init__(self) -> None:
        try:
            import msgpack
        except ImportError as error:
            raise ImportError(
                "Msgpack needs the package msgpack: pip install 'pizzeria-rediscore[msgpack]'."
            ) from error
        self._pack, self._unpack = msgpack.packb, msgpack.unpackb

    def dumps(self, value: Any) -> bytes:
        """See `Serialiser`. Raises: TypeError, or ValueError or OverflowError for what is too deep or big."""
        packed: bytes = self._pack(value, strict_types=True, datetime=True)
        return packed

    def loads(self, data: bytes) -> Any:
        """See `Serialiser`. Raises: UnreadableValue."""
        try:
            return self._unpack(data, strict_map_key=False, timestamp=3)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise UnreadableValue(f"No MessagePack: {error}") from error
