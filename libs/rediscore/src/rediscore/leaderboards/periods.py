"""Calendar periods in UTC: which board a moment belongs to, and when that board may go."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Period(StrEnum):
    """How long a board collects scores."""

    ALL_TIME = "all-time"
    DAILY = "daily"
    WEEKLY = "weekly"
    """From Monday on, as ISO 8601 counts weeks."""
    MONTHLY = "monthly"

    def label(self, moment: datetime) -> str:
        """Of the period that holds `moment`: `2026-11-21`, `2026-W47`, `2026-11`; part of the key."""
        moment = utc(moment)
        if self is Period.DAILY:
            return moment.date().isoformat()
        if self is Period.WEEKLY:
            year, week, _ = moment.isocalendar()
            return f"{year}-W{week:02d}"
        if self is Period.MONTHLY:
            return f"{moment.year}-{moment.month:02d}"
        return "all"

    def end(self, moment: datetime, further: int = 0) -> datetime | None:
        """The first moment after the period that holds `moment`, and after `further` more; None: never."""
        moment = utc(moment)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAILY:
            return midnight + timedelta(days=1 + further)
        if self is Period.WEEKLY:
            return midnight - timedelta(days=midnight.weekday()) + timedelta(weeks=1 + further)
        if self is Period.MONTHLY:
            months = moment.year * 12 + moment.month + further
            return midnight.replace(year=months // 12, month=months % 12 + 1, day=1)
        return None


def utc(moment: datetime) -> datetime:
    """Raises: ValueError for a naive time: nobody knows in which period it is."""
    if moment.tzinfo is None:
        raise ValueError("Leaderboards need aware times: datetime.now(UTC).")
    return moment.astimezone(UTC)
