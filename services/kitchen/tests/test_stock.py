"""The stock: it adds up whatever happens at once, and its ledger tells the same."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import pytest
from kitchen_service.adapters.tables import ledger
from pizzeria_chassis.database import Database
from pizzeria_contracts.events import CancellationRequested
from rediscore.testing import eventually
from sqlalchemy import select

from services.kitchen.tests.conftest import Make
from services.kitchen.tests.harness import Hands, Json, Kitchens, insist, item


@pytest.mark.proves("I4", "P7")
async def test_the_stock_adds_up_under_reserve_release_consume_and_restock_at_once(
    make_kitchens: Make, database_url: str
) -> None:
    kitchens: Kitchens = await make_kitchens(database_url=database_url)
    replicas = [Hands(await kitchens.open()), Hands(await kitchens.open())]
    orders = [f"order-{number}" for number in range(28)]
    done = asyncio.Event()

    async def cook(number: int) -> None:
        station = ("oven-1", "oven-2", "oven-3", "grill-1")[number]
        spoilt = 0
        finish: Callable[..., Awaitable[httpx.Response]]
        while not done.is_set():
            answer = await replicas[number % 2].claim(station, wait=0.2)
            if answer.status_code != 200:
                continue
            if number == 0 and spoilt < 4:
                spoilt += 1
                finish = replicas[0].fail
            else:
                finish = replicas[number % 2].complete
            assert (await insist(partial(finish, answer.json()))).status_code == 200

    async def guest(number: int) -> None:
        # Pineapple: 40 portions and 28 guests who want 4 each, while 7 restocks bring 3 each.
        await kitchens.order(item("hawaiian", quantity=2), order_id=orders[number])
        if number % 4 == 0:
            await kitchens.orders.tell(CancellationRequested(reason="changed my mind"), orders[number])
        if number % 4 == 1:
            client, path = replicas[number % 2].client, "/inventory/pineapple/restock"
            headers = {"Idempotency-Key": f"restock-{number}"}
            answer = await insist(partial(client.post, path, json={"quantity": 3}, headers=headers))
            assert answer.status_code == 200
        await replicas[number % 2].check_stock()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(cook(number))
        for first in range(0, len(orders), 7):
            async with asyncio.TaskGroup() as guests:
                for number in range(first, first + 7):
                    guests.create_task(guest(number))
        words = [await _end(kitchens, order_id) for order_id in orders]
        done.set()
    assert {"kitchen.ticket_rejected", "kitchen.order_ready"} <= set(words), words
    stocks = await replicas[0].check_stock()
    assert all(stock["reserved"] == 0 for stock in stocks.values())
    assert stocks["pineapple"]["restocked"] == 21
    assert stocks["pineapple"]["consumed"] == 4 * words.count("kitchen.order_ready")
    await _ledger_tells_the_same(database_url, stocks)


ENDS = ("kitchen.ticket_rejected", "kitchen.cancellation_accepted", "kitchen.order_ready")


async def _end(kitchens: Kitchens, order_id: str) -> str:
    async def ended() -> str | None:
        told = await kitchens.told(order_id)
        return next((word for word in told if word in ENDS), None)

    return str(await eventually(ended, within=60, every=0.05, what=f"end of {order_id}"))


async def _ledger_tells_the_same(database_url: str, stocks: dict[str, Json]) -> None:
    database = Database(database_url, source="/test")
    async with database.read() as connection:
        lines = (await connection.execute(select(ledger))).all()
    await database.aclose()
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        sums[line.ingredient, line.kind] += line.quantity
    assert len(lines) > 100
    for name, stock in stocks.items():
        reserved, released, consumed, restocked = (
            sums[name, kind] for kind in ("reserve", "release", "consume", "restock")
        )
        assert stock["reserved"] == reserved - released - consumed
        assert stock["consumed"] == consumed
        assert stock["restocked"] == restocked
        assert stock["in_stock"] == stock["initial"] + restocked - reserved + released


@pytest.mark.proves("P7")
async def test_a_shortage_is_told_once_when_it_begins_and_once_when_it_ends(
    kitchens: Kitchens, hands: Hands
) -> None:
    for _ in range(3):  # 40 → 22 → 4 → 2 portions; below 4 is low
        quantity = 1 if _ == 2 else 9
        order_id = await kitchens.order(item("hawaiian", quantity=quantity))
        await kitchens.hears(order_id, "kitchen.ticket_accepted")
        assert await kitchens.told("pineapple") == (["stock.low"] if _ == 2 else [])
    assert (await hands.stock())["pineapple"]["low"] is True
    for quantity in (1, 10, 10):  # still low; back; more
        await hands.client.post("/inventory/pineapple/restock", json={"quantity": quantity})
    events = await kitchens.hears("pineapple", "stock.restored")
    assert await kitchens.told("pineapple") == ["stock.low", "stock.restored"]
    assert [event.data for event in events] == [{"ingredient": "pineapple"}] * 2


@pytest.mark.proves("P7")
async def test_a_restock_with_the_same_key_adds_once(make_kitchens: Make, database_url: str) -> None:
    kitchens: Kitchens = await make_kitchens(database_url=database_url)
    replicas = [Hands(await kitchens.open()), Hands(await kitchens.open())]

    async def restock(number: int, quantity: int = 5, ingredient: str = "basil") -> tuple[int, str | None]:
        answer = await replicas[number % 2].client.post(
            f"/inventory/{ingredient}/restock",
            json={"quantity": quantity},
            headers={"Idempotency-Key": "delivery-7"},
        )
        return answer.status_code, answer.headers.get("Idempotency-Replayed")

    answers = await asyncio.gather(*(restock(number) for number in range(8)))
    assert sorted(answers, key=str) == [(200, "true")] * 7 + [(200, None)]
    assert (await replicas[0].check_stock())["basil"]["restocked"] == 5
    assert await restock(0, quantity=6) == (409, None)
    assert await restock(0, ingredient="dough") == (409, None)
    assert (await restock(0, ingredient="gold"))[0] == 404
