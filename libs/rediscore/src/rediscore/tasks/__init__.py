"""Background tasks on the priority queue: declared on plain functions, run by workers, nothing lost."""

from rediscore.tasks.app import Tasks
from rediscore.tasks.attempt import CallContext, current_call
from rediscore.tasks.errors import ResultTimeout, TaskCancelled, TaskDead, TaskError, TaskExpired
from rediscore.tasks.handle import TaskHandle
from rediscore.tasks.options import Retry
from rediscore.tasks.periodic import Daily, Every, Schedule
from rediscore.tasks.task import Task
from rediscore.tasks.worker import Worker

__all__ = [
    "CallContext",
    "Daily",
    "Every",
    "ResultTimeout",
    "Retry",
    "Schedule",
    "Task",
    "TaskCancelled",
    "TaskDead",
    "TaskError",
    "TaskExpired",
    "TaskHandle",
    "Tasks",
    "Worker",
    "current_call",
]
