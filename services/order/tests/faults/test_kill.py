"""kill -9 at random and by twos: one capture, one end, nothing lost, nothing doubled."""

import asyncio
import random
from collections.abc import Callable

import httpx
import pytest
from rediscore.testing import eventually

from services.order.tests.faults.processes import Replica
from services.order.tests.harness import TO_THE_DOOR, Guest, House

GRACE_SECONDS = 10  # for requests under way when a service is asked to stop


async def place(guest: Guest, key: str, card: str = "tok_approved") -> str:
    """Like a guest who repeats until there is an answer; the order's id."""

    async def attempt() -> str | None:
        try:
            answer = await guest.order(card, key=key)
        except httpx.TransportError:
            return None
        return str(answer.json()["id"]) if answer.status_code == 201 else None

    found = await eventually(attempt, within=80, every=0.05)
    assert found is not None
    return found


@pytest.mark.proves("I2")
async def test_a_cancellation_survives_the_kill_that_follows_it(
    house: House, replica: Callable[[], Replica]
) -> None:
    service = replica()
    await service.start(die_at="call:refund:before")
    guest = await house.guest(service.http)
    order_id = await guest.placed("tok_timeout")
    with pytest.raises(httpx.TransportError):
        await guest.post(f"/orders/{order_id}/cancel")
    await service.killed()
    await service.start()
    order = await guest.until_status(order_id, "cancelled")
    assert order["payment"]["captured"] == order["payment"]["refunded"]
    moved = house.movements(order_id)
    assert sum(cents if kind == "captured" else -cents for kind, cents in moved) == 0


@pytest.mark.proves("I1", "I2", "P5")
async def test_another_replica_takes_over_from_a_dead_one(
    house: House, replica: Callable[[], Replica]
) -> None:
    dying, living = replica(), replica()
    await dying.start(die_at="call:charge:after")
    await living.start()
    guest = await house.guest(living.http)
    placing = asyncio.create_task(Guest.of(dying.http, guest).order(key="k"))
    await dying.killed()
    await asyncio.gather(placing, return_exceptions=True)
    order_id = await place(guest, "k")
    await guest.until_status(order_id, "confirmed")
    assert house.movements(order_id) == [("captured", 2598)]
    assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]


@pytest.mark.parametrize("flavour", [pytest.param("sqlite", marks=pytest.mark.soak), "postgresql"])
@pytest.mark.proves("I1", "I2", "I5", "I7")
async def test_killed_at_random_under_load(house: House, replica: Callable[[], Replica]) -> None:
    service = replica()
    await service.start()
    guest = await house.guest(service.http)
    cards = ["tok_approved", "tok_approved", "tok_timeout", "tok_declined"] * 3
    placing = [asyncio.create_task(place(guest, f"k-{n}", card)) for n, card in enumerate(cards)]
    chance = random.Random(7)
    for _ in range(2):
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        await service.kill()
        await service.start()
    ids = await asyncio.gather(*placing)
    assert len(set(ids)) == len(cards)
    assert house.rows("SELECT count(*) FROM orders") == [(len(cards),)]
    for order_id, card in zip(ids, cards, strict=True):
        if card == "tok_declined":
            await guest.until_status(order_id, "cancelled", within=30)
        else:
            await guest.until_status(order_id, "confirmed", within=30)
            await house.kitchen.accept(order_id)
            await house.kitchen.tell(order_id, *TO_THE_DOOR)
    await service.kill()  # once more, in the middle of the kitchen's news
    await service.start()
    for order_id, card in zip(ids, cards, strict=True):
        if card == "tok_declined":
            assert house.movements(order_id) == []
            continue
        await guest.until_status(order_id, "delivered", within=30)
        assert house.movements(order_id) == [("captured", 2598)]
        assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]
    headers = {"Authorization": "Bearer service-token-of-a-test"}

    async def at_rest() -> bool:
        positions = (await guest.http.get("/events/positions", headers=headers)).json()
        heard = positions["inbox"].get("kitchen.events")  # none before it is noted
        return bool(
            positions["outbox"]["head"] == positions["outbox"]["sent"]
            and heard == {"position": len(house.kitchen.told), "dead": 0}
        )

    await eventually(at_rest, within=40)


@pytest.mark.proves("P2", "P3")
async def test_killed_between_the_order_and_the_emptying_of_its_cart(
    house: House, replica: Callable[[], Replica]
) -> None:
    service = replica()
    await service.start(die_at="checkout:ordered")
    guest = await house.guest(service.http)
    await guest.add()
    with pytest.raises(httpx.TransportError):
        await guest.check_out(key="k")
    await service.killed()
    await service.start()
    lost = await guest.check_out()  # without the key: a guest who gave up on the first
    assert lost.json()["type"] == "/problems/cart-empty"
    assert (await guest.cart())["items"] == []
    repeated = await guest.check_out(key="k")
    assert repeated.headers["idempotency-replayed"] == "true"
    await guest.until_status(repeated.json()["id"], "confirmed")
    await guest.add(quantity=2)
    assert [line["quantity"] for line in (await guest.cart())["items"]] == [2]
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]


@pytest.mark.proves("P14", "R17")
@pytest.mark.parametrize("point", ["notices:before", "notices:after"])
async def test_killed_while_letters_are_written(
    house: House, replica: Callable[[], Replica], point: str
) -> None:
    service = replica()
    await service.start(die_at=point)
    guest = await house.guest(service.http)
    cards = ["tok_declined", "tok_approved", "tok_declined"]
    placing = [asyncio.create_task(place(guest, f"k-{n}", card)) for n, card in enumerate(cards)]
    await service.killed()
    await house.kitchen.connections.commands.flushdb()  # and the tasks under way are lost
    await service.start()
    await asyncio.gather(*placing)

    async def arrived() -> bool:
        told = (await guest.get("/me/mailbox")).json()["items"]
        return sorted(letter["kind"] for letter in told) == ["confirmed"] + ["payment_declined"] * 2

    await eventually(arrived, within=40, every=0.1)
    assert house.rows("SELECT count(*) FROM notices_due") == [(0,)]
    assert house.rows("SELECT count(*) FROM mailbox") == [(3,)]


async def test_asked_to_stop_it_ends_with_code_0(house: House, replica: Callable[[], Replica]) -> None:
    service = replica()
    await service.start()
    guest = await house.guest(service.http)
    order_id = await guest.placed()
    assert await service.stop() == 0
    # What was committed was sent before the end.
    assert house.rows("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [(0,)]
    await service.start()
    await guest.until_status(order_id, "confirmed")


async def test_a_live_view_does_not_hold_up_the_end(house: House, replica: Callable[[], Replica]) -> None:
    service = replica()
    await service.start()
    guest = await house.guest(service.http)
    order_id = await guest.placed()
    await guest.until_status(order_id, "confirmed")
    async with guest.http.stream("GET", f"/orders/{order_id}/live", headers=guest.headers) as answer:
        assert answer.status_code == 200
        async with asyncio.timeout(GRACE_SECONDS - 2):
            assert await service.stop() == 0
