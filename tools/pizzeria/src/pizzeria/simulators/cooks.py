"""Cooks: claim a ticket at their station, cook, complete it."""

import asyncio
import uuid
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from pizzeria.simulators.api import Api, Refused, for_ever, insist

_WAIT_SECONDS = 10
_COOKING_SECONDS = (0.3, 1.5)


class Cook:
    """One pair of hands at one station."""

    def __init__(self, kitchen: Api, station_id: str, *, random: Random) -> None:
        self._kitchen = kitchen
        self._station_id = station_id
        self._random = random
        self._claim_id = str(uuid.uuid4())

    async def step(self) -> None:
        """Wait for a ticket and work on it to its end. Raises: Unavailable, Refused."""
        # The id stays until an answer has come: after a lost answer we are given the same ticket again.
        ticket = await self._kitchen.post(
            f"/stations/{self._station_id}/claim",
            {"wait_seconds": _WAIT_SECONDS},
            key=self._claim_id,
            patience=_WAIT_SECONDS,
        )
        self._claim_id = str(uuid.uuid4())
        if ticket is not None:
            await self._cook(ticket)

    async def _cook(self, ticket: dict[str, Any]) -> None:
        token = {"fencing_token": ticket["fencing_token"]}
        lease_until = datetime.fromisoformat(ticket["lease_until"])
        left = self._random.uniform(*_COOKING_SECONDS)
        try:
            while left > 0:
                pause = min(left, max(0.1, (lease_until - datetime.now(UTC)).total_seconds() / 3))
                await asyncio.sleep(pause)
                left -= pause
                if left > 0:
                    extended = await self._send(ticket, "extend", token)
                    lease_until = datetime.fromisoformat(extended["lease_until"])
            await self._send(ticket, "complete", token)
        except Refused as refusal:
            # We were too slow, or the order is gone: the ticket is no longer ours, which is no trouble.
            if refusal.status != 409:
                raise

    async def _send(self, ticket: dict[str, Any], verb: str, token: dict[str, int]) -> Any:
        return await insist(
            partial(self._kitchen.post, f"/tickets/{ticket['ticket_id']}/{verb}", token), random=self._random
        )


async def run_cooks(kitchen: Api, *, random: Random) -> None:
    """As many cooks at each station as it has room for; never returns."""
    stations = (await insist(partial(kitchen.get, "/stations"), random=random))["items"]
    async with asyncio.TaskGroup() as group:
        for station in stations:
            for number in range(station["capacity"]):
                cook = Cook(kitchen, station["station_id"], random=random)
                name = f"cook {number + 1} at {station['station_id']}"
                group.create_task(for_ever(name, cook.step, random=random), name=name)
