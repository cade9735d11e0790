"""Competing mode: all instances read one stream, each entry goes to one of them, in no order."""

import logging
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from rediscore.scripts import Script
from rediscore.streams.checks import CheckResult
from rediscore.streams.reader import TROUBLE, Reader, pause
from rediscore.streams.session import Session, Stopping

log = logging.getLogger(__name__)

_FORGET = Script.load("rediscore.streams.lua", "forget_consumers.lua")

_FORGOTTEN_AFTER_MS = 3600 * 1000
_ROUNDS_PER_CLEANING = 100
_LONGEST_PAUSE = 2.0


class CompetingReader(Reader):
    """One of many readers. What another left untouched for `min_idle` seconds is taken over; what this
    one holds is touched three times as often, so a slow handler is not taken for a dead one."""

    async def term(self, stopping: Stopping) -> None:
        """Read until told to stop or an error that is not of the wire."""
        await self.ensure_group()
        session = self._session = Session(self._settings, None)
        try:
            await session.run(self._read(session), self._keep(session), stopping=stopping)
        finally:
            self._session = None

    async def _read(self, session: Session) -> None:
        settings = self._settings
        failed = 0
        while True:
            try:
                if failed:
                    await self.ensure_group()
                count = await session.room()
                asked = settings.clock.monotonic()
                # An answer that gets lost leaves entries with us that we do not know; they are not
                # touched and so are taken over after `min_idle`.
                reply: Any = await settings.connections.blocking(settings.block).xreadgroup(
                    settings.group,
                    settings.consumer,
                    {source.stream: ">" for source in session.sources},
                    count=count,
                    block=round(settings.block * 1000),
                )
                failed = 0
                self.heard(CheckResult("reading"))
                # With RESP3: {stream: [entries]}, empty when nothing came.
                for source in session.sources:
                    for entries in reply.get(source.stream.encode(), ()):
                        flat = [(entry_id, _flat(fields)) for entry_id, fields in entries]
                        session.admit_entries(flat, source, asked=asked)
            except (RedisError, OSError, TimeoutError) as error:
                failed += 1
                self.trouble(error)
                await pause(TROUBLE.delay(failed))

    async def _keep(self, session: Session) -> None:
        """Touch what we hold, take over what others left, forget who is gone."""
        rounds = 0
        while True:
            try:
                await session.touch()
                await self._take_over(session)
                self.heard_again()
                if rounds % _ROUNDS_PER_CLEANING == 0:
                    await self._forget_consumers()
                rounds += 1
            except (RedisError, OSError, TimeoutError) as error:
                # The reading side tells of it and repairs the group.
                log.debug("stream_takeover_delayed", extra={**self._where, "error": type(error).__name__})
            await pause(min(self._settings.min_idle / 3, _LONGEST_PAUSE))

    async def _take_over(self, session: Session) -> None:
        idle = self._settings.min_idle
        for pending in session.pending:
            room = session.free
            if room <= 0:
                return
            left = [
                entry
                for entry in await pending.page(None, count=room, idle=idle)
                if pending.source.prefix + entry.entry_id not in session.known
            ]
            if left:
                asked = self._settings.clock.monotonic()
                session.admit(await pending.claim(left, lease=None, idle=idle), asked=asked)

    async def _forget_consumers(self) -> None:
        settings = self._settings
        await _FORGET(
            settings.connections,
            keys=[settings.stream],
            args=[settings.group, settings.consumer, _FORGOTTEN_AFTER_MS],
        )


def _flat(fields: Mapping[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]
