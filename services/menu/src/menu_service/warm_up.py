"""The copy of the menu is there before the first guest asks."""

import asyncio
from collections.abc import Mapping

import structlog
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.health import Check

from menu_service.reading import Reader

_log = structlog.get_logger(__name__)

SECONDS = 5.0


class WarmUp:
    """A component that reads the menu once beside the start, which it neither delays nor fails."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._read(), name="menu-warm-up")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def checks(self) -> Mapping[str, Check]:
        return {}

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                menu = await self._reader.menu()
        except (DatabaseUnavailable, TimeoutError) as error:
            # The first guest computes it then.
            _log.info("menu_not_warm", error=type(error).__name__)
        else:
            _log.info("menu_warm", pizzas=len(menu.items))
