"""Tasks that are called by themselves."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis.exceptions import RedisError

from rediscore.errors import QueueFull
from rediscore.scripts import Script
from rediscore.tasks.task import Task

if TYPE_CHECKING:
    from rediscore.tasks.app import Tasks

log = logging.getLogger(__name__)

_REMEMBERED: Final = timedelta(days=400)
_OUTAGE_PAUSE: Final = 0.5
_DAY: Final = timedelta(days=1)


class Schedule(Protocol):
    """When a task is called: moments that follow from the clock alone, so all workers agree on them."""

    def latest(self, moment: datetime) -> datetime:
        """The last one that is not after `moment` (aware)."""
        ...

    def after(self, moment: datetime) -> datetime:
        """The first one after `moment` (aware)."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every `interval`, counted from 1970-01-01 UTC: each full hour, not an hour after a start."""

    interval: timedelta

    def __post_init__(self) -> None:
        if self.interval < timedelta(milliseconds=100):
            raise ValueError("An interval needs at least 0.1 s.")

    def latest(self, moment: datetime) -> datetime:
        return moment - (moment - _EPOCH) % self.interval

    def after(self, moment: datetime) -> datetime:
        return self.latest(moment) + self.interval

    def __str__(self) -> str:
        return f"every {self.interval}"


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at a time of a place, also on the days on which its clocks change: a time that is
    skipped comes later by what was skipped, one that comes twice counts the first time.

    Args:
        at: time of day, without a zone of its own.
        zone: of the place, `zoneinfo.ZoneInfo("Europe/Rome")`.
        weekdays: 0 = Monday; every day unless given.
    """

    at: time
    zone: tzinfo
    weekdays: frozenset[int] = frozenset(range(7))

    def __post_init__(self) -> None:
        if self.at.tzinfo is not None:
            raise ValueError("Give the zone as zone=, not in the time.")
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise ValueError("weekdays are numbers from 0 (Monday) to 6, one at least.")

    def latest(self, moment: datetime) -> datetime:
        day = moment.astimezone(self.zone).date() + _DAY
        while (due := self._on(datetime.combine(day, self.at))) is None or due > moment:
            day -= _DAY
        return due

    def after(self, moment: datetime) -> datetime:
        day = moment.astimezone(self.zone).date() - _DAY
        while (due := self._on(datetime.combine(day, self.at))) is None or due <= moment:
            day += _DAY
        return due

    def _on(self, local: datetime) -> datetime | None:
        return local.replace(tzinfo=self.zone).astimezone(UTC) if local.weekday() in self.weekdays else None

    def __str__(self) -> str:
        days = (
            ""
            if len(self.weekdays) == len(_DAYS)
            else " on " + ", ".join(_DAYS[day] for day in sorted(self.weekdays))
        )
        return f"daily at {self.at:%H:%M:%S} {self.zone}{days}"


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Periodic:
    """A task and when it is called, once in the fleet."""

    task: Task[..., Any]
    schedule: Schedule


async def call_on_time(tasks: "Tasks", periodic: Periodic) -> None:
    """Put in the call of each period, for ever. Its id is the period's, so many workers put in one.

    Periods that pass while no worker is alive are missed but for the last one, which is made up for as
    soon as a worker comes. A call that is late does not hold up the next one. Two round trips per period
    and worker, one more for the worker that is first.
    """
    clock = tasks.clock
    while True:
        now = clock.now()
        period = periodic.schedule.latest(now)
        try:
            if not await _told(tasks, periodic, period, is_in=False):
                await periodic.task.apply_async(task_id=f"{periodic.task.name}@{period.isoformat()}")
                await _told(tasks, periodic, period, is_in=True)
        except (RedisError, OSError, QueueFull) as error:
            log.warning("task_not_scheduled", extra={"error": type(error).__name__})
            await clock.sleep(_OUTAGE_PAUSE)
            continue
        await clock.sleep(max(0.001, (periodic.schedule.after(now) - clock.now()).total_seconds()))


async def _told(tasks: "Tasks", periodic: Periodic, period: datetime, *, is_in: bool) -> bool:
    milliseconds = round(period.timestamp() * 1000)
    script = Script.load("rediscore.tasks", "lua/schedule.lua")
    reply: int = await script(
        tasks.connections,
        keys=[tasks.keys.key("tasks", "periods", tag=f"{tasks.keys.prefix}:{tasks.name}")],
        args=(periodic.task.name, milliseconds, int(is_in), round(_REMEMBERED.total_seconds() * 1000)),
        idempotent=True,
    )
    return reply == 1
