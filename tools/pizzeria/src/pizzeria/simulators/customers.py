"""Customers: come at random, order what the menu has, now and then pay badly or change their mind."""

import asyncio
import uuid
from collections import deque
from functools import partial
from random import Random
from typing import Any

import httpx

from pizzeria.simulators.api import Api, Refused, Unavailable, for_ever, insist, log

_NAMES = ("Ada", "Edsger", "Grace", "Barbara", "Tony", "Leslie", "Radia", "Ken")
_CARDS = {"tok_approved": 93, "tok_declined": 4, "tok_timeout": 3}
_SIZES = {"small": 2, "medium": 5, "large": 3}
_EXPRESS_SHARE = 0.15
_TOPPING_SHARE = 0.3
_REGRET_SHARE = 0.04
_MOST_AT_ONCE = 50
_MENU_LOOKS = 20


class Customers:
    """All guests of the house.

    A guest signs in once and orders again later; at most 50 orders are on their way to the service at once,
    so that an outage does not pile up orders without end.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        order_url: str,
        menu_url: str,
        rate: float,
        group: asyncio.TaskGroup,
        random: Random,
    ) -> None:
        self._client = client
        self._order_url = order_url
        self._menu = Api(client, menu_url)
        self._rate = rate
        self._group = group
        self._random = random
        self._guests: deque[Api] = deque(maxlen=len(_NAMES))
        self._pizzas: list[dict[str, Any]] = []
        self._orders = 0
        self._underway: set[asyncio.Task[None]] = set()

    async def step(self) -> None:
        """One guest orders, then a random pause. Raises: Unavailable, Refused."""
        if self._orders % _MENU_LOOKS == 0 or not self._pizzas:
            self._pizzas = [pizza for pizza in (await self._menu.get("/menu"))["items"] if pizza["available"]]
        if self._pizzas and len(self._underway) < _MOST_AT_ONCE:
            self._orders += 1
            task = self._group.create_task(self._order())
            self._underway.add(task)
            task.add_done_callback(self._underway.discard)
        await asyncio.sleep(self._random.expovariate(self._rate))

    async def _order(self) -> None:
        try:
            guest = await self._sign_in()
            place = partial(guest.post, "/orders", self._choose(), key=str(uuid.uuid4()))
            order = await insist(place, random=self._random)
            self._guests.append(guest)
            if self._random.random() < _REGRET_SHARE:
                await asyncio.sleep(self._random.uniform(0, 1))
                await guest.post(f"/orders/{order['id']}/cancel")
        except Unavailable:
            return  # of the sign-in or of the cancellation: the guest gives up
        except Refused as refusal:
            self._pizzas.clear()  # what was refused may have left the menu: look again
            if refusal.status not in (401, 409):  # session expired, too late to cancel: the guest's bad luck
                log.warning("an order was refused: %s", refusal)

    async def _sign_in(self) -> Api:
        if len(self._guests) == self._guests.maxlen:
            return self._guests.popleft()
        stranger = Api(self._client, self._order_url)
        session = await stranger.post("/sessions", {"name": self._random.choice(_NAMES)})
        return Api(self._client, self._order_url, session["token"])

    def _choose(self) -> dict[str, Any]:
        count = min(len(self._pizzas), self._random.choice((1, 1, 1, 2, 3)))
        return {
            "items": [self._dress(pizza) for pizza in self._random.sample(self._pizzas, k=count)],
            "priority": "express" if self._random.random() < _EXPRESS_SHARE else "standard",
            "payment": {"token": self._pick(_CARDS)},
        }

    def _dress(self, pizza: dict[str, Any]) -> dict[str, Any]:
        extra = pizza["toppings"] and self._random.random() < _TOPPING_SHARE
        toppings = [self._random.choice(pizza["toppings"])] if extra else []
        return {"pizza_id": pizza["id"], "size": self._pick(_SIZES), "quantity": 1, "toppings": toppings}

    def _pick(self, weights: dict[str, int]) -> str:
        return self._random.choices([*weights], [*weights.values()])[0]


async def run_customers(
    client: httpx.AsyncClient, *, order_url: str, menu_url: str, rate: float, random: Random
) -> None:
    """Guests who order `rate` times per second on average; never returns."""
    async with asyncio.TaskGroup() as group:
        customers = Customers(
            client, order_url=order_url, menu_url=menu_url, rate=rate, group=group, random=random
        )
        await for_ever("customers", customers.step, random=random)
