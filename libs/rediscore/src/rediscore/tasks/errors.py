"""What can be wrong with a task."""

from rediscore.errors import RediscoreError


class TaskError(RediscoreError):
    """Base of the errors of tasks."""


class TaskDead(TaskError):  # noqa: N818  named by what happened
    """The task failed for good; the message says why. It can be redriven from the dead letters."""


class TaskExpired(TaskError):  # noqa: N818
    """Nobody took the task before it expired, so it was not run."""


class TaskCancelled(TaskError):  # noqa: N818
    """Somebody has cancelled the task; whether it had begun, and how far it came, is unknown."""


class ResultTimeout(TaskError):  # noqa: N818
    """No result yet, or none any more: results are kept for a time, and only of tasks that ask for it."""
