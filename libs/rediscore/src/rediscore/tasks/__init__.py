"""Background tasks on the priority queue: declared on plain functions, run by workers, nothing lost."""

from rediscore.tasks.app import Tasks
from rediscore.tasks.errors import ResultTimeout, TaskDead, TaskError, TaskExpired
from rediscore.tasks.handle import TaskHandle
from rediscore.tasks.options import Retry
from rediscore.tasks.task import Task
from rediscore.tasks.worker import Worker

__all__ = [
    "ResultTimeout",
    "Retry",
    "Task",
    "TaskDead",
    "TaskError",
    "TaskExpired",
    "TaskHandle",
    "Tasks",
    "Worker",
]
