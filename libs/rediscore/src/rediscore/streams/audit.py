"""What operators did with dead letters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rediscore.streams.policy import Reason


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what with which letter, when and why."""

    time: datetime
    action: Literal["redrive", "edit", "drop"]
    letter_id: str
    group: str
    reason: Reason
    original_id: str
    by: str
    why: str


def read_audit(entry_id: bytes, fields: Mapping[bytes, bytes]) -> AuditEntry:
    """One entry of the audit stream."""
    text = {name.decode(): value.decode() for name, value in fields.items()}
    action: Any = text["action"]
    return AuditEntry(
        time=datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC),
        action=action,
        letter_id=text["letter"],
        group=text["group"],
        reason=Reason(text["reason"]),
        original_id=text["original_id"],
        by=text["by"],
        why=text["why"],
    )
