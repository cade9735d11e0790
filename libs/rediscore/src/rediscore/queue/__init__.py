"""A priority queue with leases on sorted sets (ADR 0011)."""

from rediscore.queue.entries import Claim, DeadEntry, QueuedEntry, QueueStats
from rediscore.queue.priority_queue import PriorityQueue

__all__ = ["Claim", "DeadEntry", "PriorityQueue", "QueueStats", "QueuedEntry"]
