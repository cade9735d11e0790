"""A lock over processes: first come first served, with fencing tokens, lost loudly."""

from rediscore.lock.errors import LockLost, LockTimeout
from rediscore.lock.lease import Lease
from rediscore.lock.locks import Locks

__all__ = ["Lease", "LockLost", "LockTimeout", "Locks"]
