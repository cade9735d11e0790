"""What can be wrong with a record."""

from rediscore.errors import RediscoreError


class RecordMissing(RediscoreError):  # noqa: N818  named by what happened
    """There is no such record, or it has expired: write a whole one."""


class VersionConflict(RediscoreError):  # noqa: N818
    """Somebody else has changed the record since it was read: read it again and decide anew."""

    def __init__(self, message: str, *, expected: int, actual: int) -> None:
        super().__init__(message)
        self.expected = expected
        """The version that the caller had seen; 0 = no record."""
        self.actual = actual
        """The version that the record has; 0 = no record."""
