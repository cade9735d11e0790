"""What must be done before the first request."""

from collections.abc import Mapping

import structlog
from pizzeria_chassis.database import Database
from pizzeria_chassis.health import Check
from pizzeria_chassis.migrations import migrate

from menu_service.seed import seed

_log = structlog.get_logger(__name__)


class Setup:
    """Brings the database to the newest version, writes the first menu, and closes the database at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> None:
        await migrate(self._database, "menu_service")
        if await self._database.transact(seed):
            _log.info("menu_seeded")

    async def stop(self) -> None:
        await self._database.aclose()

    def checks(self) -> Mapping[str, Check]:
        return {}
