"""Sets whose members expire one by one, their algebra, and stored audiences (ADR 0090)."""

from rediscore.sets.expiring_set import ExpiringSet
from rediscore.sets.expression import Expression
from rediscore.sets.segments import Overlap, Segments

__all__ = ["ExpiringSet", "Expression", "Overlap", "Segments"]
