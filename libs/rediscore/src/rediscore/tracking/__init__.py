"""Invalidations on connections of their own: broadcast client tracking (RESP3, ADR 0017)."""

from rediscore.tracking.feed import TrackingFeed

__all__ = ["TrackingFeed"]
