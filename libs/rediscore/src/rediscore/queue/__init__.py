"""A priority queue with leases on sorted sets (ADR 0011)."""

from rediscore.queue.entries import Claim, Done, NewEntry, QueueAudit, QueuedEntry, QueueStats
from rediscore.queue.operations import QueuePage
from rediscore.queue.priority_queue import PriorityQueue

__all__ = [
    "Claim",
    "Done",
    "NewEntry",
    "PriorityQueue",
    "QueueAudit",
    "QueuePage",
    "QueueStats",
    "QueuedEntry",
]
