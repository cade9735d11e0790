"""A manager sets up a station, changes what it can do, or closes it."""

from dataclasses import dataclass, replace
from functools import partial

from rediscore.clock import Clock

from kitchen_service.domain.errors import StationBusy, TooManyStations
from kitchen_service.domain.station import Skill, Station
from kitchen_service.use_cases.ports import Books, Store

MOST_STATIONS = 100


@dataclass(frozen=True, slots=True)
class ArrangeStation:
    """The station as it is then, and whether it is new. What it holds already is cooked to its end.

    Raises: StationBusy when it holds more than the new capacity (invariant I8), TooManyStations.
    """

    clock: Clock
    store: Store

    async def __call__(
        self, station_id: str, *, capacity: int, skills: frozenset[Skill], open_: bool
    ) -> tuple[Station, bool]:
        wanted = Station(station_id, capacity, skills, open_)
        return await self.store.transact(partial(self._arrange, wanted))

    async def _arrange(self, wanted: Station, books: Books) -> tuple[Station, bool]:
        # The row lock is also the one under which claims count what the station holds.
        known = await books.stations.lock(wanted.id)
        if known is None:
            if len(await books.stations.all()) >= MOST_STATIONS:
                raise TooManyStations(MOST_STATIONS)
            await books.stations.save(wanted)
            return wanted, True
        held = await books.tickets.held_by(wanted.id, self.clock.now())
        if held > wanted.capacity:
            raise StationBusy(wanted.id, held)
        arranged = replace(wanted, seen_at=known.seen_at)
        await books.stations.save(arranged)
        return arranged, False
