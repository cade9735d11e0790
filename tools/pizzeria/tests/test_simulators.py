"""Cooks, drivers and customers against a small HTTP service that answers as told."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest
from pizzeria.errors import PizzeriaError
from pizzeria.simulators.api import Api, Refused, Unavailable, insist
from pizzeria.simulators.cooks import Cook
from pizzeria.simulators.customers import Customers
from pizzeria.simulators.drivers import Drivers
from pizzeria.simulators.settings import SimulatorSettings

Answer = Callable[[httpx.Request], httpx.Response]


class Service:
    """Answers each request with the next of `answers`, and remembers what was asked.

    The transport is ours, so what is tested is how a client takes an answer, or none.
    """

    def __init__(self) -> None:
        self.answers: deque[httpx.Response | Exception] = deque()
        self.asked: list[httpx.Request] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.api = Api(self.client, "http://service", "token")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.popleft() if self.answers else httpx.Response(204)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    yield service
    await service.client.aclose()


def ticket(seconds: float = 10) -> httpx.Response:
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return httpx.Response(200, json={"ticket_id": "t1", "fencing_token": 7, "lease_until": until})


def problem(status: int, slug: str) -> httpx.Response:
    return httpx.Response(status, json={"type": f"/problems/{slug}"})


async def test_a_cook_claims_again_with_the_same_key_after_a_lost_answer(service: Service) -> None:
    cook = Cook(service.api, "oven-1", random=Random(1))
    service.answers.extend([httpx.ReadTimeout("lost"), ticket()])
    with pytest.raises(Unavailable):
        await cook.step()
    await cook.step()
    await cook.step()
    keys = [request.headers["Idempotency-Key"] for request in service.asked if "claim" in request.url.path]
    assert keys[0] == keys[1] != keys[2]
    assert service.calls[2] == "POST /tickets/t1/complete"
    assert json.loads(service.asked[2].content) == {"fencing_token": 7}


async def test_a_cook_extends_a_short_lease_while_cooking(service: Service) -> None:
    service.answers.extend([ticket(0.2), ticket(10)])
    await Cook(service.api, "oven-1", random=Random(1)).step()
    assert service.calls == [
        "POST /stations/oven-1/claim",
        "POST /tickets/t1/extend",
        "POST /tickets/t1/complete",
    ]


async def test_a_cook_lets_go_of_a_ticket_that_is_not_his_any_more(service: Service) -> None:
    service.answers.extend([ticket(), problem(409, "stale-lease")])
    await Cook(service.api, "oven-1", random=Random(1)).step()
    assert service.calls == ["POST /stations/oven-1/claim", "POST /tickets/t1/complete"]


async def test_completing_is_repeated_until_the_kitchen_decides(service: Service) -> None:
    service.answers.extend([ticket(), httpx.ConnectError("away"), httpx.Response(503), ticket()])
    await Cook(service.api, "oven-1", random=Random(1)).step()
    assert service.calls[1:] == ["POST /tickets/t1/complete"] * 3


async def test_drivers_finish_what_is_ready_and_what_others_began(service: Service) -> None:
    waiting = {"items": [{"order_id": "a"}, {"order_id": "b"}, {"order_id": "c"}]}
    service.answers.append(httpx.Response(200, json=waiting))
    async with asyncio.TaskGroup() as group:
        await Drivers(service.api, 2, group, random=Random(1)).look()
    assert sorted(service.calls[1:]) == [
        "POST /deliveries/a/complete",
        "POST /deliveries/a/start",
        "POST /deliveries/b/complete",
        "POST /deliveries/b/start",
    ]


async def test_a_customer_repeats_the_same_order_after_a_lost_answer(service: Service) -> None:
    menu = {"items": [{"id": "margherita", "available": True, "toppings": []}]}
    service.answers.extend(
        [
            httpx.Response(200, json=menu),
            httpx.Response(201, json={"token": "guest"}),
            httpx.ReadError("lost"),
            httpx.Response(201, json={"id": "o1"}),
        ]
    )
    async with asyncio.TaskGroup() as group:
        customers = Customers(
            service.client, order_url="http://o", menu_url="http://m", rate=50, group=group, random=Random(3)
        )
        await customers.step()
    first, second = service.asked[2:4]
    assert first.url.path == second.url.path == "/orders"
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.content == second.content
    assert first.headers["Authorization"] == "Bearer guest"


async def test_insisting_ends_with_a_refusal(service: Service) -> None:
    service.answers.extend([problem(503, "away"), problem(404, "not-found")])
    with pytest.raises(Refused, match="404 /problems/not-found"):
        await insist(lambda: service.api.get("/x"), random=Random(1))


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "COOK_TOKEN .or COOK_TOKEN_FILE. must be set"),
        ({"COOK_TOKEN": "a", "DRIVER_TOKEN": "b", "ORDERS_PER_SECOND": "often"}, "ORDERS_PER_SECOND must be"),
    ],
)
def test_missing_settings_are_named(environment: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PizzeriaError, match=sentence):
        SimulatorSettings.from_environment(environment)


def test_tokens_are_not_shown() -> None:
    settings = SimulatorSettings.from_environment({"COOK_TOKEN": "cook-s3cret", "DRIVER_TOKEN": "d-s3cret"})
    assert "s3cret" not in repr(settings)
