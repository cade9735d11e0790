"""What both kinds of readers share: the loop around terms, and the truth about how it goes."""

import asyncio
import logging
from abc import ABC, abstractmethod

from redis.exceptions import RedisError, ResponseError

from rediscore.errors import LeaseLost
from rediscore.retry import Backoff
from rediscore.streams.checks import CheckResult
from rediscore.streams.session import ReaderSettings, Session, Stopping

log = logging.getLogger(__name__)

# No jitter: after a wipe the group shall be back well within a second.
TROUBLE = Backoff(0.05, 1.0, jitter=False)
_SILENCE = 4.0


class Reader(ABC):
    """Reads one partition for as long as `run` runs; whatever Redis does, it comes back."""

    def __init__(self, settings: ReaderSettings) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._result = CheckResult("down", "It has not started.")
        self._heard = settings.clock.monotonic()

    @property
    def session(self) -> Session | None:
        """The present term, None when this instance is not the reader."""
        session = self._session
        if session is not None and session.lease is not None and not session.lease.held:
            return None
        return session

    def check(self) -> CheckResult:
        """How it goes, as of now. No round trip."""
        if self._result.healthy and self.silence > _SILENCE:
            return CheckResult("down", f"Redis has not answered for {self.silence:.0f} s.")
        return self._result

    @property
    def silence(self) -> float:
        """Seconds since Redis answered."""
        return self._settings.clock.monotonic() - self._heard

    async def run(self, stopping: Stopping) -> None:
        """Read until told to stop. Errors are logged and survived; only cancellation ends it early."""
        failed = 0
        while not stopping.requested.is_set():
            try:
                await self.term(stopping)
                failed = 0
            except LeaseLost:
                log.warning("stream_lease_lost", extra=self._where)
                failed = 0
            except (RedisError, OSError, TimeoutError) as error:
                failed += 1
                self.trouble(error)
                await stopping.within(TROUBLE.delay(failed))
            except Exception as error:
                failed += 1
                log.exception("stream_reader_failed", extra=self._where)
                self.trouble(error)
                await stopping.within(TROUBLE.delay(failed))
        self._result = CheckResult("down", "It was stopped.")

    @abstractmethod
    async def term(self, stopping: Stopping) -> None:
        """One term, or one look whether there may be one."""

    def heard(self, status: CheckResult) -> None:
        """Redis has answered, and this is how it goes."""
        if status.status != self._result.status:
            log.info("stream_reader_changed", extra={**self._where, "status": status.status})
        self._result = status
        self.heard_again()

    def heard_again(self) -> None:
        """Redis has answered, which says nothing else."""
        self._heard = self._settings.clock.monotonic()

    def trouble(self, error: Exception) -> None:
        """Something failed; logged once per kind of trouble."""
        result = CheckResult("down", _sentence(error, self._settings.stream))
        if result != self._result:
            log.warning("stream_reader_down", extra={**self._where, "reason": result.reason})
        self._result = result

    async def ensure_group(self) -> dict[str, bytes]:
        """Make both streams and the group in them where they are missing; returns the id delivered last of
        each. Four round trips.

        A new group starts at the beginning: what was added before it is delivered too.
        """
        return {source.stream: await self._ensure_group(source.stream) for source in self._settings.sources}

    async def _ensure_group(self, stream: str) -> bytes:
        commands, group = self._settings.connections.commands, self._settings.group
        try:
            await commands.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        for known in await commands.xinfo_groups(stream):
            if known["name"] == group.encode():
                return bytes(known["last-delivered-id"])
        raise ResponseError(f"NOGROUP {group} vanished from {stream} at once")

    @property
    def _where(self) -> dict[str, str]:
        return {"stream": self._settings.stream, "group": self._settings.group}


def _sentence(error: Exception, stream: str) -> str:
    text = str(error)
    if text.startswith("WRONGTYPE"):
        return f"The key {stream} holds something else than a stream: rename or delete it."
    if text.startswith(("NOGROUP", "UNBLOCKED")):
        return f"The stream {stream} or its group vanished; it is being made again."
    if "is a replica now" in text:
        return "The server became a replica and takes no writes; the new primary is looked for."
    if isinstance(error, ResponseError):
        return f"Redis refuses: {text.split(' script:')[0]}"
    return f"Redis does not answer ({type(error).__name__})."


async def pause(seconds: float) -> None:
    """Sleep; a name of its own so that readers of the code see it is no polling of work."""
    await asyncio.sleep(seconds)
