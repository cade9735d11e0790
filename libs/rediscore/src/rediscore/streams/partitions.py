"""A stream cut into partitions by subject."""

from zlib import crc32


def partition_of(subject: str, partitions: int) -> int:
    """The partition of a subject: the same in every process and release."""
    return crc32(subject.encode()) % partitions


def stream_names(stream: str, partitions: int) -> tuple[str, ...]:
    """The Redis keys of a stream: itself when it is whole, else `<stream>.<i>`."""
    if partitions < 1:
        raise ValueError("A stream has at least one partition.")
    if partitions == 1:
        return (stream,)
    return tuple(f"{stream}.{index}" for index in range(partitions))


def hash_tag(stream: str) -> str:
    """The tag that puts a key into the cluster slot of `stream`."""
    start = stream.find("{")
    end = stream.find("}", start + 1)
    return stream[start + 1 : end] if 0 <= start < end - 1 else stream
