"""How far the projections are behind the archive, for Prometheus."""

from pizzeria_chassis.database import Database
from prometheus_client import CollectorRegistry, Gauge

from analytics_service import archive
from analytics_service.projections import Projections


class ProjectionLag:
    """Call it now and then: one statement and one round trip."""

    def __init__(self, database: Database, projections: Projections, registry: CollectorRegistry) -> None:
        self._database = database
        self._projections = projections
        self._uncounted = Gauge(
            "analytics_uncounted_events",
            "Archived events that the live projections have not counted yet.",
            registry=registry,
        )

    async def __call__(self) -> None:
        live = (await self._projections.control()).live
        async with self._database.read() as connection:
            head = await archive.head(connection)
        self._uncounted.set(max(0, head - (live.checkpoint.seq if live else 0)))
