"""Login sessions with sliding and absolute lifetimes (ADR 0090)."""

from rediscore.sessions.errors import SessionMissing
from rediscore.sessions.session import ListedSession, Session
from rediscore.sessions.sessions import Sessions

__all__ = ["ListedSession", "Session", "SessionMissing", "Sessions"]
