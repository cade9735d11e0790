"""Which event of a subject came last."""

from collections import OrderedDict
from typing import Final

from rediscore.streams.event import RawEvent

__all__ = ["SubjectOrder"]

REMEMBERED: Final = 10_000


class SubjectOrder:
    """Remembers the last handled sequence of the subjects that were active lately.

    It only ever says "follows" when that is sure; a subject that it forgot is looked up in the feed.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._remembered = remembered

    def follows(self, event: RawEvent) -> bool:
        """Return whether every earlier event of this subject is known to be handled."""
        if event.sequence is None or event.sequence <= 1:
            return True
        return self._last.get(event.subject, 0) >= event.sequence - 1

    def note(self, subject: str, sequence: int | None) -> None:
        """Note that the events of a subject are handled up to this one."""
        if sequence is None:
            return
        self._last[subject] = max(self._last.get(subject, 0), sequence)
        self._last.move_to_end(subject)
        if len(self._last) > self._remembered:
            self._last.popitem(last=False)
