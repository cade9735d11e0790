"""Orders and faults at random for as long as SOAK_SECONDS says: `make soak`."""

import asyncio
import os
import random
import time

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import pizzas
from tests.e2e.harness_snapshot import SERVICES

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
SEED = int(os.environ["SOAK_SEED"])
PAUSE = 2.5  # beyond a cook's lease

pytestmark = [
    pytest.mark.soak,
    pytest.mark.xdist_group("e2e-soak"),
    pytest.mark.timeout(SECONDS + 180),
]


async def test_orders_survive_faults_at_random(pizzeria: Pizzeria) -> None:
    print(f"{SECONDS:.0f} s with SOAK_SEED={SEED}")  # noqa: T201 - pytest shows it when the run fails
    chance = random.Random(SEED)
    guest = await pizzeria.guest()
    end = time.monotonic() + SECONDS
    hit: list[str] = []

    async def load() -> None:
        while time.monotonic() < end:
            await guest.place(
                pizzas(
                    chance.choice(["margherita", "pepperoni", "vegetarian"]), quantity=chance.randint(1, 2)
                ),
                pay=chance.choices(["tok_approved", "tok_declined", "tok_timeout"], [8, 1, 1])[0],
                priority=chance.choice(["standard", "express"]),
            )
            await asyncio.sleep(chance.uniform(0.1, 0.8))

    async def faults() -> None:
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(1, 4))
            fault = chance.choice([*SERVICES, *SERVICES, "redis", "wipe", "pause"])
            if fault == "wipe":
                await pizzeria.store.flushall()
            elif fault == "pause":
                async with pizzeria.paused(chance.choice(SERVICES)):
                    await asyncio.sleep(PAUSE)
            else:
                await pizzeria.kill(fault)
            hit.append(fault)

    async with pizzeria.at_work(), asyncio.TaskGroup() as group:
        group.create_task(load())
        group.create_task(faults())
    assert hit, "no fault happened: SOAK_SECONDS is too short"
    await pizzeria.check_invariants(within=60)
