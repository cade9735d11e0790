"""Two processes of order and two of kitchen: everything holds, and one may go at any moment."""

import asyncio
from uuid import uuid4

import pytest

from tests.e2e.harness import Pizzeria
from tests.e2e.harness_people import pizzas

pytestmark = pytest.mark.xdist_group("e2e-replicas")


@pytest.mark.proves("P3", "I2")
async def test_a_repeat_at_the_other_replica_is_the_same_order(replicated: Pizzeria) -> None:
    guest, key = await replicated.guest(), str(uuid4())
    body = {"items": pizzas(), "payment": {"token": "tok_approved"}}
    answers = [await guest.send_order(body, key=key) for _ in range(4)]
    assert len(replicated.back_end.urls["order"]) == 2
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    await replicated.check_invariants()


@pytest.mark.proves("P5", "P8", "I1", "I2", "I3", "I4", "I5", "I7", "I8")
async def test_one_replica_of_each_is_killed_under_load(replicated: Pizzeria) -> None:
    guests = [await replicated.guest() for _ in range(3)]

    async def load() -> None:
        for number in range(18):
            await guests[number % 3].place(pizzas(quantity=1 + number % 2))
            await asyncio.sleep(0.1)

    async def faults() -> None:
        for process in ("order", "kitchen-2", "order-2", "kitchen"):
            await asyncio.sleep(0.3)
            await replicated.kill(process)

    async with replicated.at_work(), asyncio.TaskGroup() as group:
        group.create_task(load())
        group.create_task(faults())
    await replicated.check_invariants()
    assert len(replicated.diary.accepted) >= 18


@pytest.mark.proves("R18", "P5", "I1", "I7")
async def test_the_replica_at_work_is_paused_and_the_other_takes_over(replicated: Pizzeria) -> None:
    guest = await replicated.guest()
    at_work = {service: await relaying(replicated, service) for service in ("order", "kitchen")}
    async with replicated.paused(*(process_name(*found) for found in at_work.items())):
        for service, number in at_work.items():
            replicated.ask_only(service, 1 - number)
        order = await guest.place()
        await replicated.reaches(order["id"], "confirmed")
        await replicated.cook().cook(order["id"], within=30)
        await replicated.driver().deliver(order["id"])
    replicated.ask_all()
    await replicated.check_invariants()


async def relaying(shop: Pizzeria, service: str) -> int:
    """Which of the two replicas has the lead over the outbox; it reads the streams as well, as a rule."""
    reasons = []
    for url in shop.back_end.urls[service]:
        checks = (await shop.http.get(f"{url}/health/ready")).json()["checks"]
        reasons.append(checks["outbox"]["reason"])
    assert sorted(reason == "standby" for reason in reasons) == [False, True], reasons
    return int(reasons[0] == "standby")


def process_name(service: str, number: int) -> str:
    return service if number == 0 else f"{service}-{number + 1}"
