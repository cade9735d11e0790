"""A projector that is killed (-9) in the middle of a step: `python killed_projector.py before|after`.

Run by test_kills.py as a process, with the settings of the service in the environment.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from analytics_service.projections import Projections
from analytics_service.projector import Projector
from analytics_service.settings import AnalyticsSettings
from pizzeria_chassis.database import Database
from rediscore.breaker import CircuitBreaker
from rediscore.client import RedisConnections
from rediscore.clock import SystemClock
from rediscore.keys import KeySpace


class Killed(Projections):
    """Dies with the counts folded and not yet sent, or sent and the answer not yet seen."""

    async def apply(self, *arguments: Any, **options: Any) -> bool:
        if sys.argv[1] == "after":
            await super().apply(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


async def main() -> None:
    settings = AnalyticsSettings()
    connections, keys = RedisConnections(settings.redis), KeySpace("analytics")
    projections = Killed(connections, keys, breaker=CircuitBreaker("redis"))
    database = Database(settings.database_url.get_secret_value(), source="/test")
    await Projector(database, projections, SystemClock()).step()


if __name__ == "__main__":
    asyncio.run(main())
