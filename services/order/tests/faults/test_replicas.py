"""Two replicas on one database are as good as one."""

import asyncio

import pytest
from pizzeria_contracts.events import OrderReady, TicketStarted

from services.order.tests.harness import ON_BOTH_DATABASES, ON_POSTGRESQL, Guest, House


@ON_BOTH_DATABASES
@pytest.mark.proves("I2", "I7", "P5")
async def test_two_replicas_never_charge_twice(house: House) -> None:
    # A lease far shorter than the time-out of a charge: both take up the same steps, over and over.
    hasty = {"saga_lease_seconds": 0.05, "saga_poll_seconds": 0.02, "payment_timeout_seconds": 1}
    first = await house.guest(await house.open(**hasty))
    second = Guest.of(await house.open(**hasty), first)
    for guest in (first, second):
        await guest.http.get("/menu")  # the rush itself may be too much for the first answer within a second
    cards = ["tok_approved", "tok_timeout"] * 6
    ids = await asyncio.gather(*((first, second)[n % 2].placed(card) for n, card in enumerate(cards)))
    for order_id in ids:
        await second.until_status(order_id, "confirmed")
        assert house.movements(order_id) == [("captured", 2598)]
        assert house.told(order_id) == ["order.placed", "payment.captured", "order.confirmed"]
    # The fault was there: some step was taken up more often than once.
    assert house.rows("SELECT max(version) > 3 FROM orders") == [(1,)]


@ON_BOTH_DATABASES
@pytest.mark.proves("P3")
async def test_one_key_at_two_replicas_is_one_order(house: House) -> None:
    first = await house.guest(await house.open())
    second = Guest.of(await house.open(), first)
    for n in range(5):
        answers = await asyncio.gather(first.order(key=f"k-{n}"), second.order(key=f"k-{n}"))
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].content == answers[1].content
        assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True]
    assert house.rows("SELECT count(*) FROM orders") == [(5,)]


@ON_POSTGRESQL
@pytest.mark.proves("I7")
async def test_the_kitchens_news_are_heard_once_whichever_replica_reads(house: House) -> None:
    first = await house.guest(await house.open())
    second = Guest.of(await house.open(), first)
    order_id = await first.placed()
    await second.until_status(order_id, "confirmed")
    await house.kitchen.accept(order_id)
    told = await house.kitchen.tell(order_id, TicketStarted(ticket_id="t", station_id="s"), OrderReady())
    await house.kitchen.repeat(told)
    await second.until_status(order_id, "ready")
    query = "SELECT type FROM journey WHERE order_id = ? AND type LIKE 'pizzeria.kitchen%'"
    heard = house.rows(query, order_id)
    assert len(heard) == len(set(heard)) == 3
    # The feed ends where the consumer has come to, at both.
    for guest in (first, second):
        ready = (await guest.http.get("/health/ready")).json()
        assert ready["status"] == "ready"
