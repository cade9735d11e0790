"""Calls to a service, with answers sorted into those that count and those to try again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, NoReturn

import httpx

from pizzeria.backoff import Backoff

log = logging.getLogger("pizzeria.simulators")

_TIMEOUT_SECONDS = 5.0
_BACKOFF = Backoff(0.1, 0.5)


class Unavailable(Exception):  # noqa: N818  named by what happened
    """No answer, or one that says to come again: the call may or may not have had its effect."""


class Refused(Exception):  # noqa: N818
    """The service has decided against the call; sending it again changes nothing."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


class Api:
    """One service with one token."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str | None = None) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str) -> Any:
        """Body of a GET. Raises: Unavailable, Refused."""
        return await self._call("GET", path, None, {}, 0)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None, patience: float = 0
    ) -> Any:
        """Body of a POST, `None` for 204. Raises: Unavailable, Refused.

        Args:
            key: Idempotency-Key.
            patience: seconds that the service may wait before it answers, beside the usual timeout.
        """
        return await self._call("POST", path, body, {"Idempotency-Key": key} if key else {}, patience)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        patience: float,
    ) -> Any:
        try:
            reply = await self._client.request(
                method,
                f"{self._url}{path}",
                json=body,
                headers={**self._headers, **headers},
                timeout=_TIMEOUT_SECONDS + patience,
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"{method} {self._url}: {type(error).__name__}") from error
        if reply.status_code >= 500 or reply.status_code == 429:
            raise Unavailable(f"{method} {self._url}: {reply.status_code}")
        content = reply.json() if reply.content else None
        if reply.status_code >= 400:
            raise Refused(reply.status_code, str((content or {}).get("type", "")))
        return content


async def insist(call: Callable[[], Awaitable[Any]], *, random: Random) -> Any:
    """Repeat a call that is safe to repeat until the service decides. Raises: Refused."""
    failures = 0
    while True:
        try:
            return await call()
        except Unavailable:
            failures += 1
            await asyncio.sleep(_BACKOFF.delay(failures) * random.uniform(0.5, 1))


async def for_ever(name: str, step: Callable[[], Awaitable[None]], *, random: Random) -> NoReturn:
    """Repeat a step of somebody's work; after trouble with growing pauses. Only cancellation ends it."""
    failures = 0
    while True:
        try:
            await step()
        except (Unavailable, Refused) as error:
            failures += 1
            if failures == 1:  # one line per outage
                log.warning("%s waits: %s", name, error)
        except Exception:
            failures += 1
            log.exception("%s stumbled", name)
        else:
            failures = 0
            continue
        await asyncio.sleep(_BACKOFF.delay(failures) * random.uniform(0.5, 1))
