"""kill -9 around every call and every commit of every step that the saga's table has.

A step that is added to the table is walked without another word here; when it needs another way to be
reached or answered, `reach` or `answered` fails and says so.
"""

import asyncio
import math
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from order_service.domain.saga import CALLS, SAGA, Answer, Step, rows
from order_service.domain.states import TERMINAL
from pizzeria_contracts.events import (
    CancellationAccepted,
    CancellationRefused,
    DeliveryCompleted,
    DeliveryStarted,
    OrderReady,
    Payload,
    TicketAccepted,
    TicketRejected,
    TicketStarted,
)
from rediscore.testing import eventually

from services.order.tests.faults.processes import Replica
from services.order.tests.harness import Guest, House

ACCEPTED = TicketAccepted(tickets=("t",), estimated_ready_at=datetime(2026, 11, 28, 20, tzinfo=UTC))
KITCHEN_SAYS: dict[Answer, Payload] = {
    Answer.ACCEPTED: ACCEPTED,
    Answer.REJECTED: TicketRejected(reason="out-of-stock"),
    Answer.STARTED: TicketStarted(ticket_id="t", station_id="s"),
    Answer.COOKED: OrderReady(),
    Answer.ON_ITS_WAY: DeliveryStarted(driver_id="d"),
    Answer.DELIVERED: DeliveryCompleted(driver_id="d"),
    Answer.LET_GO: CancellationAccepted(),
    Answer.KEPT: CancellationRefused(),
}
# What the kitchen says by itself, step by step, until there is nothing left to say.
ONWARD: dict[Step, tuple[Answer, ...]] = {
    Step.AWAIT_KITCHEN: (Answer.ACCEPTED,),
    Step.AWAIT_COOK: (Answer.STARTED, Answer.COOKED),
    Step.AWAIT_DELIVERY: (Answer.ON_ITS_WAY, Answer.DELIVERED),
}
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
SOAK_SEED = int(os.environ["SOAK_SEED"])
ALL_FROM_SECONDS = 120
# Another party's closed door, a breaker of this process, another look, news on the way: no commit of theirs
# moves money or an order on; the stories of the unit tests tell them.
NOT_WALKED = {Answer.VOIDED, Answer.NOT_ASKED, Answer.TOO_EARLY, Answer.NEWS_ON_THE_WAY}
LEGAL = (
    ["order.placed", "payment.declined", "order.cancelled"],
    ["order.placed", "order.cancelled"],
    ["order.placed", "payment.captured", "payment.refunded", "order.cancelled"],
    ["order.placed", "payment.captured", "order.confirmed"],
    ["order.placed", "payment.captured", "order.confirmed", "payment.refunded", "order.cancelled"],
)


def points() -> list[Any]:
    """Every point to die at: of each step its usual answer, the first one; the others in the soak.

    A soak shorter than ALL_FROM_SECONDS takes its share of the others, chosen by SOAK_SEED.
    """
    found = [pytest.param(None, None, f"commit:placed:{when}") for when in ("before", "after")]
    for step in CALLS:
        usual = next(iter(SAGA[step].answers))
        found += [pytest.param(step, usual, f"call:{step}:{when}") for when in ("before", "after")]
    others = []
    for step, answer, _ in rows():
        if answer not in NOT_WALKED:
            is_usual = answer is next(iter(SAGA[step].answers))
            for when in ("before", "after"):
                point = f"commit:{step}:{answer}:{when}"
                if is_usual:
                    found.append(pytest.param(step, answer, point))
                else:
                    others.append(pytest.param(step, answer, point, marks=pytest.mark.soak))
    share = min(1.0, SOAK_SECONDS / ALL_FROM_SECONDS)
    return found + random.Random(SOAK_SEED).sample(others, math.ceil(share * len(others)))


@pytest.mark.proves("I1", "I2", "I7", "P4")
@pytest.mark.parametrize(("step", "answer", "point"), points())
async def test_killed_there_the_order_is_paid_once_and_ends_once(
    house: House, replica: Callable[[], Replica], step: Step | None, answer: Answer | None, point: str
) -> None:
    house.kitchen.cooking_seconds = 0.5
    service = replica()
    await service.start(die_at=point, **settings_for(step, answer))
    guest = await house.guest(service.http)
    walk = Walk(house, guest, step, answer)
    walking = asyncio.create_task(walk.to_the_point())
    await service.killed()
    await service.start()
    await asyncio.wait_for(walking, 100)
    order = await walk.to_the_end()

    assert order["status"] in TERMINAL  # I1
    assert house.rows("SELECT count(*) FROM orders") == [(1,)]
    moved = house.movements(order["id"])  # I2
    assert [kind for kind, _ in moved].count("captured") <= 1
    total = 2598 if order["status"] == "delivered" else 0
    assert sum(cents if kind == "captured" else -cents for kind, cents in moved) == total
    assert walk.told() in LEGAL  # I7, and no sequence twice or missing
    if order["status"] == "cancelled" and order["payment"]["status"] != "declined":
        assert order["payment"]["captured"] == order["payment"]["refunded"]


def settings_for(step: Step | None, answer: Answer | None) -> dict[str, str]:
    if answer is Answer.DEADLINE_MISSED:
        return {"KITCHEN_DEADLINE_SECONDS": "0.5"}
    if answer is Answer.UNKNOWN:
        return {"SPOIL": "lose:charge"}
    if answer is Answer.SILENCE and step in (Step.LOOKUP, Step.REFUND):
        return {"SPOIL": f"lose:{step}"}
    if answer is Answer.REGRETTED and step is Step.CHARGE:
        return {"SPOIL": "hold:charge"}
    if answer is Answer.REGRETTED and step is Step.LOOKUP:
        return {"SPOIL": "lose:charge", "PAYMENT_RETRY_SECONDS": "5"}
    if answer is Answer.DECLINED and step is Step.LOOKUP:
        return {"SPOIL": "mute:charge"}
    return {}


class Walk:
    """Brings one order to a step and has it answered, over whatever happens to the service."""

    def __init__(self, house: House, guest: Guest, step: Step | None, answer: Answer | None) -> None:
        self.house, self.guest, self.step, self.answer = house, guest, step, answer

    async def to_the_point(self) -> None:
        await self._insist(lambda: self.guest.order(self._card(), key="k", **self._fields()))
        if self.step is None or self.answer is None:
            return
        if self.step not in CALLS or self.step is Step.REFUND or self.answer is Answer.REGRETTED:
            await self._reach(self.step)
            await self._answered(self.answer)

    async def to_the_end(self) -> dict[str, Any]:
        """What the kitchen would say by itself, until the order has ended."""
        order_id = self._order_id()

        async def ended() -> bool:
            step = self._at()
            if step in ONWARD and self.answer is Answer.REGRETTED:
                await self._tell(Answer.LET_GO)
                await eventually(lambda: self._at() is not step, within=40, what=f"on from {step}")
            elif step in ONWARD and not self._the_kitchen_has_no_more_to_say():
                await self._tell(*ONWARD[step])
                await eventually(lambda: self._at() is not step, within=40, what=f"on from {step}")
            return self._at() is None

        try:
            await eventually(ended, within=40, every=0.05, what="the end")
        except AssertionError:
            journey = (await self.guest.get(f"/orders/{order_id}/journey")).text
            raise AssertionError(f"no end: {journey}") from None
        return await self.guest.look(order_id)

    def told(self) -> list[str]:
        told = self.house.told(self._order_id())
        return [kind for kind in told if kind != "order.cancellation_requested"]

    def _card(self) -> str:
        if self.answer is Answer.DECLINED:
            return "tok_declined"
        silent = self.step is Step.CHARGE and self.answer is Answer.SILENCE
        spoilt = "charge" in settings_for(self.step, self.answer).get("SPOIL", "")
        return "tok_timeout" if silent or (self.step is Step.LOOKUP and not spoilt) else "tok_approved"

    def _fields(self) -> dict[str, Any]:
        if self.step is not Step.AWAIT_SCHEDULE:
            return {}
        seconds = 3600 if self.answer is Answer.REGRETTED else 6
        return {"scheduled_for": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}

    async def _reach(self, step: Step) -> None:
        if step in (Step.AWAIT_COOK, Step.AWAIT_DELIVERY):
            await self._until_at(Step.AWAIT_KITCHEN)
            await self._tell(Answer.ACCEPTED)
        if step is Step.AWAIT_DELIVERY:
            if self.answer is Answer.KEPT:  # asked while that is possible, heard of late
                await self._until_at(Step.AWAIT_COOK)
                await self._cancel()
            await self._tell(*ONWARD[Step.AWAIT_COOK])
        if step is Step.REFUND:
            await self._until_at(Step.AWAIT_KITCHEN)
            await self._tell(Answer.REJECTED)
        else:
            await self._until_at(step)

    async def _answered(self, answer: Answer) -> None:
        if answer in KITCHEN_SAYS:
            if answer in (Answer.KEPT, Answer.LET_GO) and self.step is not Step.AWAIT_DELIVERY:
                await self._cancel()
            await self._tell(answer)
        elif answer is Answer.REGRETTED:
            await self._cancel()
        else:
            # The clock and the provider answer by themselves.
            assert answer in (Answer.TIME_HAS_COME, Answer.DEADLINE_MISSED, Answer.REFUNDED, Answer.SILENCE)

    async def _cancel(self) -> None:
        await self._insist(lambda: self.guest.post(f"/orders/{self._order_id()}/cancel"))

    async def _tell(self, *answers: Answer) -> None:
        await self.house.kitchen.tell(self._order_id(), *(KITCHEN_SAYS[answer] for answer in answers))

    def _the_kitchen_has_no_more_to_say(self) -> bool:
        return self.answer in (Answer.REJECTED, Answer.LET_GO, Answer.DEADLINE_MISSED, Answer.DELIVERED)

    def _at(self) -> Step | None:
        found = self.house.rows("SELECT saga_step FROM orders")
        return None if not found or found[0][0] is None else Step(found[0][0])

    def _order_id(self) -> str:
        return str(self.house.rows("SELECT id FROM orders")[0][0])

    async def _until_at(self, *steps: Step) -> None:
        await eventually(lambda: self._at() in steps, within=40, every=0.02, what=f"at {steps}")

    async def _insist(self, call: Callable[[], Any]) -> httpx.Response:
        """Like a guest who repeats until there is an answer."""

        async def attempt() -> list[httpx.Response]:
            try:
                answer = await call()
            except httpx.TransportError:
                return []
            return [answer] if answer.status_code < 500 else []

        return (await eventually(attempt, within=60, every=0.05))[0]
