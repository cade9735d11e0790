"""Circuit breaker: CLOSED while a dependency answers, OPEN while it does not, HALF_OPEN to find out."""

from rediscore.breaker.breaker import CircuitBreaker, Transition
from rediscore.breaker.circuit import Permit, State
from rediscore.breaker.errors import CircuitOpen
from rediscore.breaker.shared import SharedBreakers
from rediscore.breaker.windows import CountWindow, TimeWindow

__all__ = [
    "CircuitBreaker",
    "CircuitOpen",
    "CountWindow",
    "Permit",
    "SharedBreakers",
    "State",
    "TimeWindow",
    "Transition",
]
