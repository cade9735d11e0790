"""How a value lies in Redis: two bytes and the payload where that is enough, else a header of 68 and tags.

    plain     C1 flags payload                      fresh as long as it is there
    extended  C1 flags size ttl grace busy token base seq tags payload
    lease     C1 01 token                           no value yet: the holder of the token computes it

`size` is that of the header. `grace` is how long (ms) the value is kept beyond its freshness: fresh for
PTTL − grace. `busy` says until when (ms, server) somebody computes it anew, under `token`. `base` and `seq`
say when the computation began, in the numbers of the tag marks. C1 begins neither UTF-8 text nor
MessagePack, so foreign values are told apart. The scripts read the same in `lua/lib.lua`.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from rediscore.requests import request_id
from rediscore.serialisers import UnreadableValue

MAGIC: Final = 0xC1
LEASE, NONE, EXTENDED = 1, 2, 4

PLAIN: Final = bytes([MAGIC, 0])
_PLAIN_NONE: Final = bytes([MAGIC, NONE])
_HEADER: Final = struct.Struct(">BBHQQQ24sQQ")
_TOKEN: Final = 24
_MOST_TAGS: Final = 100


class Header(NamedTuple):
    """What the extended header says."""

    flags: int
    size: int
    ttl_ms: int
    tagged: bool


def plain(payload: bytes | None) -> bytes:
    """A value without freshness of its own and without tags; None stands for None."""
    return _PLAIN_NONE if payload is None else PLAIN + payload


def extended(
    payload: bytes | None,
    *,
    ttl_ms: int,
    grace_ms: int,
    tags: Sequence[bytes] = (),
    base: int = 0,
    seq: int = 0,
) -> bytes:
    """A value with all the rest; tags are members of the marks (see `tag_members`)."""
    listed = b"".join(bytes([len(tag)]) + tag for tag in tags)
    flags = EXTENDED | (NONE if payload is None else 0)
    size = _HEADER.size + len(listed)
    head = _HEADER.pack(MAGIC, flags, size, ttl_ms, grace_ms, 0, b"", base, seq)
    return head + listed + (payload or b"")


def header(entry: bytes) -> Header:
    """Of an entry that holds a value.

    Raises: UnreadableValue for anything else.
    """
    if len(entry) < 2 or entry[0] != MAGIC or entry[1] > NONE | EXTENDED or entry[1] & LEASE:
        raise UnreadableValue("No entry of this cache.")
    flags = entry[1]
    if not flags & EXTENDED:
        return Header(flags, len(PLAIN), 0, False)
    if len(entry) < _HEADER.size:
        raise UnreadableValue("An entry that was cut off.")
    _, _, size, ttl_ms, *_ = _HEADER.unpack_from(entry)
    if not _HEADER.size <= size <= len(entry):
        raise UnreadableValue("An entry that was cut off.")
    return Header(flags, size, ttl_ms, size > _HEADER.size)


def is_lease(entry: bytes) -> bool:
    """There is no value yet: somebody computes it."""
    return len(entry) == 2 + _TOKEN and entry[0] == MAGIC and entry[1] == LEASE


def new_token() -> bytes:
    """Of one computation."""
    return request_id().encode().ljust(_TOKEN, b"\0")[-_TOKEN:]


def tag_members(tags: Sequence[str], most: int | None = _MOST_TAGS) -> list[bytes]:
    """Tags as they stand in headers and marks.

    Raises: ValueError for one that is empty or too long, and for too many.
    """
    if isinstance(tags, str):
        raise ValueError(f"Tags are a list of words: tags=[{tags!r}].")
    members = [b":" + tag.encode() for tag in dict.fromkeys(tags)]
    if any(not 1 < len(member) < 256 for member in members):
        raise ValueError("A tag has 1 to 254 bytes.")
    if most is not None and len(members) > most:
        raise ValueError(f"A value has at most {most} tags.")
    return members
