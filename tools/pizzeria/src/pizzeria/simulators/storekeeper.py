"""The storekeeper: fills up what runs low, so that a long demo does not run dry."""

import asyncio
import uuid
from functools import partial
from random import Random

from pizzeria.simulators.api import Api, for_ever, insist

_LOOK_SECONDS = 20.0


class Storekeeper:
    """Works only where customers are simulated: who orders alone may want to see a shortage."""

    def __init__(self, kitchen: Api, *, random: Random) -> None:
        self._kitchen = kitchen
        self._random = random

    async def look(self) -> None:
        """Restock every ingredient that is low with what there was at first. Raises: Unavailable, Refused."""
        await asyncio.sleep(_LOOK_SECONDS)
        for stock in (await self._kitchen.get("/inventory"))["items"]:
            if stock["low"]:
                restock = partial(
                    self._kitchen.post,
                    f"/inventory/{stock['ingredient']}/restock",
                    {"quantity": stock["initial"]},
                    key=str(uuid.uuid4()),
                )
                await insist(restock, random=self._random)


async def run_storekeeper(kitchen: Api, *, random: Random) -> None:
    """Never returns."""
    await for_ever("storekeeper", Storekeeper(kitchen, random=random).look, random=random)
