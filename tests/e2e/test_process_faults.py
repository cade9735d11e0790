"""Services killed and paused. Each case proves first that the fault happened."""

import asyncio
import random

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import pizzas
from tests.e2e.harness_snapshot import SERVICES

pytestmark = pytest.mark.xdist_group("e2e-full")


@pytest.mark.proves("R16", "P8", "I3")
async def test_a_cook_paused_beyond_the_lease_is_too_late(pizzeria: Pizzeria) -> None:
    guest, sleepy, awake = await pizzeria.guest(), pizzeria.cook("oven-1"), pizzeria.cook("oven-2")
    order = await guest.place()
    lost = await sleepy.take(order["id"])
    assert (await sleepy.extend(lost)).is_success
    taken_over = await awake.take(order["id"])  # sleepy does nothing until the lease has run out
    assert taken_over.id == lost.id
    assert taken_over.token > lost.token

    for answer in (await sleepy.extend(lost), await sleepy.complete(lost)):
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/stale-lease"
    assert (await awake.complete(taken_over)).is_success
    assert (await awake.complete(taken_over)).is_success  # a repeat is harmless
    await pizzeria.reaches(order["id"], "ready")
    await pizzeria.driver().deliver(order["id"])
    await pizzeria.check_invariants()


@pytest.mark.proves("P5", "I1", "I2", "I3", "I5", "I6", "I7", "I9")
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
async def test_each_service_killed_at_random_under_load(pizzeria: Pizzeria, seed: int) -> None:
    chance = random.Random(seed)
    guest = await pizzeria.guest()

    async def load() -> None:
        for _ in range(20):
            await guest.place(
                pizzas(
                    chance.choice(["margherita", "pepperoni", "vegetarian"]), quantity=chance.randint(1, 2)
                ),
                pay=chance.choices(["tok_approved", "tok_declined", "tok_timeout"], [8, 1, 1])[0],
                priority=chance.choice(["standard", "express"]),
            )
            await asyncio.sleep(chance.uniform(0, 0.3))

    async def faults() -> None:
        for service in chance.sample(SERVICES, len(SERVICES)):
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            await pizzeria.kill(service)

    async with pizzeria.at_work(), asyncio.TaskGroup() as group:
        group.create_task(load())
        group.create_task(faults())
    await pizzeria.check_invariants()
