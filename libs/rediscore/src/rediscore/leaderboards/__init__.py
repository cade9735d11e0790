"""Leaderboards on sorted sets with exact ranks (ADR 0090)."""

from rediscore.leaderboards.errors import PeriodOver, ScoreOutOfRange
from rediscore.leaderboards.leaderboard import LARGEST_SCORE, Leaderboard, Standing
from rediscore.leaderboards.periods import Period

__all__ = ["LARGEST_SCORE", "Leaderboard", "Period", "PeriodOver", "ScoreOutOfRange", "Standing"]
