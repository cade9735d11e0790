"""Any cart verbs in any order, at two replicas, with prices that change and wipes: what a list would do."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from pizzeria_chassis.testing import serving
from rediscore.client import RedisConnections
from rediscore.testing import patient_settings

from services.order.tests.harness import Guest, House
from services.order.tests.neighbours import KitchenStandIn, MenuStandIn

T = TypeVar("T")

SIZES = st.sampled_from(["small", "medium"])
QUANTITIES = st.integers(1, 3)
PRICES = {"small": "10.39", "medium": "12.99"}


class CartMachine(RuleBasedStateMachine):
    """The model is a list of lines as they were last shown. `house` and the replicas are set by the test."""

    loop: asyncio.AbstractEventLoop
    house: House
    replicas: tuple[httpx.AsyncClient, httpx.AsyncClient]

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.gone = False
        self.orders: list[float] = []
        self.prices = self.house.menu.menu["items"][0]["prices"]
        for size, amount in PRICES.items():
            self.prices[size]["amount"] = amount
        guest = self.run(self.house.guest(self.replicas[0]))
        self.guests = (guest, Guest.of(self.replicas[1], guest))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @property
    def guest(self) -> Guest:
        """At the one replica and the other in turn."""
        self.guests = self.guests[::-1]
        return self.guests[0]

    def price(self, line: dict[str, Any]) -> str:
        return str(self.prices[line["size"]]["amount"])

    def shown(self, cart: dict[str, Any]) -> None:
        """What the service shows is what the model says, at today's prices."""
        assert cart["gone"] is self.gone
        for line, view in zip(self.lines, cart["items"], strict=True):
            assert (view["id"], view["size"], view["quantity"]) == (
                line["id"],
                line["size"],
                line["quantity"],
            )
            assert view["unit_price"]["amount"] == self.price(line)
            before = view["previous_unit_price"]
            assert (before["amount"] if before else self.price(line)) == line["shown"]
            line["shown"] = self.price(line)
        total = sum(float(line["shown"]) * line["quantity"] for line in self.lines)
        assert float(cart["total"]["amount"]) == pytest.approx(total)

    @rule(size=SIZES, quantity=QUANTITIES)
    def add(self, size: str, quantity: int) -> None:
        body = {"pizza_id": "margherita", "size": size, "quantity": quantity}
        answer = self.run(self.guest.post("/cart/items", json=body))
        assert answer.status_code == 201
        line = {
            "id": answer.headers["location"].rsplit("/", 1)[1],
            "size": size,
            "quantity": quantity,
            "shown": self.prices[size]["amount"],
        }
        self.lines.append(line)
        self.gone = False
        self.shown(answer.json())

    @rule(at=st.integers(0, 3), quantity=QUANTITIES, size=SIZES)
    def change(self, at: int, quantity: int, size: str) -> None:
        line = self.lines[at % len(self.lines)] if self.lines else {"id": "none"}
        answer = self.run(self.guest.patch(f"/cart/items/{line['id']}", {"quantity": quantity, "size": size}))
        if not self.lines:
            assert answer.status_code == 404
            return
        line |= {"quantity": quantity, "size": size, "shown": self.prices[size]["amount"]}
        self.shown(answer.json())

    @rule(at=st.integers(0, 3))
    def remove(self, at: int) -> None:
        line = self.lines[at % len(self.lines)] if self.lines else {"id": "none"}
        answer = self.run(self.guest.delete(f"/cart/items/{line['id']}"))
        assert answer.status_code == (204 if self.lines else 404)
        if self.lines:
            self.lines.remove(line)

    @rule()
    def look(self) -> None:
        self.shown(self.run(self.guest.cart()))

    @rule()
    def check_out(self) -> None:
        answer = self.run(self.guest.check_out())
        changed = [at for at, line in enumerate(self.lines) if line["shown"] != self.price(line)]
        if not self.lines:
            assert answer.json()["type"] == f"/problems/{'cart-gone' if self.gone else 'cart-empty'}"
        elif changed:
            told = {change["pointer"]: change for change in answer.json()["changes"]}
            assert sorted(told) == sorted(f"/items/{at}" for at in changed)
            for at in changed:
                line, change = self.lines[at], told[f"/items/{at}"]
                assert (change["old"]["amount"], change["new"]["amount"]) == (line["shown"], self.price(line))
                line["shown"] = self.price(line)
        else:
            assert answer.status_code == 201, answer.text
            total = sum(float(line["shown"]) * line["quantity"] for line in self.lines)
            assert float(answer.json()["total"]["amount"]) == pytest.approx(total)
            self.orders.append(float(answer.json()["total"]["amount"]))
            self.lines = []

    @rule(size=SIZES, amount=st.sampled_from(["9.00", "12.99", "20.00"]))
    def reprice(self, size: str, amount: str) -> None:
        self.prices[size]["amount"] = amount

    @rule()
    def wipe(self) -> None:
        self.run(self._flush())
        self.gone = self.gone or bool(self.lines)
        self.lines = []

    async def _flush(self) -> None:
        await self.house.kitchen.connections.commands.flushdb()

    def teardown(self) -> None:
        placed = self.run(self.guest.get("/orders")).json()["items"]
        assert [float(order["total"]["amount"]) for order in reversed(placed)] == self.orders


@pytest.mark.proves("P2")
def test_a_cart_does_what_the_model_does(redis_url: str, tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    redis = patient_settings(redis_url).model_copy(update={"db": 15})

    async def open_house(stack: AsyncExitStack) -> tuple[House, tuple[httpx.AsyncClient, httpx.AsyncClient]]:
        connections = RedisConnections(redis)
        stack.push_async_callback(connections.aclose)
        await connections.commands.flushdb()
        menu, kitchen = MenuStandIn(), KitchenStandIn(connections)
        house = House(f"sqlite:///{tmp_path}/order.db", redis, menu, kitchen)
        house.menu_url = await stack.enter_async_context(serving(menu.app))
        house.kitchen_url = await stack.enter_async_context(serving(kitchen.app))
        stack.push_async_callback(house.close)
        every_time = {"menu_fresh_seconds": 0, "saga_poll_seconds": 5}
        return house, (await house.open(**every_time), await house.open(**every_time))

    stack = AsyncExitStack()
    try:
        house, replicas = loop.run_until_complete(open_house(stack))
        machine = type("Machine", (CartMachine,), {"loop": loop, "house": house, "replicas": replicas})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=6, stateful_step_count=14, deadline=None)
        )
    finally:
        loop.run_until_complete(stack.aclose())
        loop.close()
