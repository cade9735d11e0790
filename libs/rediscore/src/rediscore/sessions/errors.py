"""What can be wrong with a session."""

from rediscore.errors import RediscoreError


class SessionMissing(RediscoreError):  # noqa: N818  named by what happened
    """There is no such session (any more): ask the user to log in. The message never holds the id."""
