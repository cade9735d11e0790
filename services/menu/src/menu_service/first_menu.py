"""Writes the first menu at the first start."""

from collections.abc import Mapping

import structlog
from pizzeria_chassis.database import Database
from pizzeria_chassis.health import Check

from menu_service.seed import seed

_log = structlog.get_logger(__name__)


class FirstMenu:
    """A component that is done when it has started."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        if await self._database.transact(seed):
            _log.info("menu_seeded")

    async def stop(self) -> None:
        return

    def checks(self) -> Mapping[str, Check]:
        return {}
