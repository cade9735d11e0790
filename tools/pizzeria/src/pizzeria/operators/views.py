"""Lag, breakers, faults and tasks as tables."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

__all__ = ["breakers_table", "faults_table", "lag_table", "tasks_table"]

Answers = Mapping[str, Mapping[str, Any]]


def lag_table(answers: Answers) -> RenderableType:
    """What each service has told and heard; ``-`` is what cannot be asked at the moment."""
    table = _table("service", "", "position", "head", "behind", "unread", "pending", "oldest", "dead")
    for name, lag in answers.items():
        if _told_error(table, name, lag):
            continue
        if (outbox := lag["outbox"]) is not None:
            behind = outbox["head"] - outbox["sent"]
            table.add_row(name, "tells", str(outbox["sent"]), str(outbox["head"]), str(behind))
        for stream in lag["streams"]:
            oldest = stream["oldest_pending_seconds"]
            table.add_row(
                name,
                f"hears {stream['stream']}",
                *(_shown(stream[column]) for column in ("position", "head", "behind", "unread", "pending")),
                "-" if oldest is None else f"{oldest:.1f} s",
                str(stream["dead"]),
            )
    return table


def breakers_table(answers: Answers) -> RenderableType:
    table = _table("service", "breaker", "state", "since", "succeeded", "failed", "refused", "opened")
    for name, answer in answers.items():
        if _told_error(table, name, answer):
            continue
        for breaker in answer["items"]:
            counts = breaker["counts"]
            table.add_row(
                name,
                breaker["name"],
                breaker["state"],
                f"{breaker['seconds']:.0f} s",
                *(str(counts.get(event, 0)) for event in ("success", "failure", "rejected", "to_open")),
            )
    return table


def faults_table(answers: Answers) -> RenderableType:
    table = _table("service", "fault", "target", "for", "means")
    for name, answer in answers.items():
        if _told_error(table, name, answer):
            continue
        for fault in answer["items"]:
            left = f"{fault['seconds_left']:.0f} s"
            table.add_row(name, fault["kind"], fault["target"], left, fault["means"])
    return table


def tasks_table(answers: Answers) -> RenderableType:
    table = _table("service", "task", "id", "state", "due", "failures", "reason")
    for name, answer in answers.items():
        if _told_error(table, name, answer):
            continue
        for call in answer["items"]:
            table.add_row(
                name,
                call["task"],
                call["id"],
                call["state"],
                call["due_at"][:19],
                str(call["failures"]),
                call["reason"],
            )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _told_error(table: Table, name: str, answer: Mapping[str, Any]) -> bool:
    if "error" in answer:
        table.add_row(name, str(answer["error"]))
        return True
    return False


def _shown(value: int | None) -> str:
    return "-" if value is None else str(value)
