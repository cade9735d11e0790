"""The two streams that a group reads: the one that everybody reads, and one of its own."""

from dataclasses import dataclass


def redrive_stream(stream: str, group: str) -> str:
    """Where dead letters go that are sent again: only that group reads it."""
    return f"{stream}.redrive.{group}"


@dataclass(frozen=True, slots=True)
class Source:
    """One of the two streams of a group.

    Args:
        own: nobody else reads it, so an entry is deleted with its acknowledgement.
    """

    stream: str
    own: bool = False

    @property
    def prefix(self) -> bytes:
        """In front of an entry's id where both streams meet: ids of two streams may be the same."""
        return b"redrive:" if self.own else b""


def sources_of(stream: str, group: str) -> tuple[Source, Source]:
    """The stream and the group's own one beside it; in one cluster slot if the name has a hash tag."""
    return Source(stream), Source(redrive_stream(stream, group), own=True)
