"""The kitchen's HTTP: who may, what is refused and how, pages, live hints."""

import asyncio

import httpx
import pytest
from rediscore.testing import eventually

from services.kitchen.tests.harness import TOKENS, Hands, Kitchens, item

COOKS = {("GET", "/queue"), ("GET", "/stations"), ("POST", "/stations/oven-1/claim"), ("GET", "/inventory")}
COOKS |= {("POST", f"/tickets/x/{verb}") for verb in ("extend", "complete", "fail")}
COOKS |= {("POST", "/inventory/basil/restock")}
DRIVERS = {("GET", "/deliveries"), ("POST", "/deliveries/x/start"), ("POST", "/deliveries/x/complete")}


@pytest.mark.proves("P15")
async def test_roles(kitchens: Kitchens, hands: Hands) -> None:
    async def status(method: str, path: str, token: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=kitchens.kitchens[0].url) as stranger:
            return (await stranger.request(method, path, headers=headers)).status_code

    for calls, role, other in ((COOKS, "cook", "driver"), (DRIVERS, "driver", "cook")):
        for call in calls:
            assert await status(*call, None) == 401, call
            assert await status(*call, "some-customers-session-token") == 401, call
            assert await status(*call, TOKENS[other]) == 403, call
            assert await status(*call, TOKENS["service"]) == 403, call
            for allowed in (role, "manager"):
                assert await status(*call, TOKENS[allowed]) in (200, 204, 404, 422), call
    assert await status("GET", "/live", None) == 401
    assert await status("GET", "/live", TOKENS["service"]) == 403
    assert await status("GET", "/events", TOKENS["cook"]) == 403
    assert await status("GET", "/health/ready", None) == 200


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/stations/oven-1/claim", {"wait_seconds": 31}, "/wait_seconds"),
        ("/stations/oven-1/claim", {"wait_seconds": -1}, "/wait_seconds"),
        ("/stations/oven-1/claim", {"patience": 3}, "/patience"),
        ("/tickets/t/complete", {}, "/fencing_token"),
        ("/tickets/t/complete", {"fencing_token": 0}, "/fencing_token"),
        ("/tickets/t/extend", {"fencing_token": "many"}, "/fencing_token"),
        ("/tickets/t/fail", {"fencing_token": 1}, "/reason"),
        ("/tickets/t/fail", {"fencing_token": 1, "reason": "x" * 501}, "/reason"),
        ("/inventory/basil/restock", {"quantity": 0}, "/quantity"),
        ("/inventory/basil/restock", {"quantity": 1.5}, "/quantity"),
        ("/deliveries/o/start", {"driver_id": ""}, "/driver_id"),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(
    hands: Hands, path: str, body: dict[str, object], pointer: str
) -> None:
    answer = await hands.client.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_what_is_not_there_is_404(hands: Hands) -> None:
    for path, body in {
        "/stations/oven-9/claim": {},
        "/tickets/nothing/complete": {"fencing_token": 1},
        "/tickets/nothing/extend": {"fencing_token": 1},
        "/tickets/nothing/fail": {"fencing_token": 1, "reason": "x"},
        "/inventory/gold/restock": {"quantity": 1},
        "/deliveries/nothing/complete": {},
    }.items():
        answer = await hands.client.post(path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), path
    for path, params in (("/queue", {"after": "nonsense"}), ("/deliveries", {"status": "cooking"})):
        assert (await hands.client.get(path, params=params)).status_code == 422


async def test_lists_come_in_pages(kitchens: Kitchens, hands: Hands) -> None:
    expected = [await kitchens.order(order_id=f"order-{number}") for number in range(5)]
    for order_id in expected:
        await kitchens.hears(order_id, "kitchen.ticket_accepted")

    async def walk(path: str) -> list[str]:
        found, after = [], None
        while True:
            params = {"limit": 2, **({"after": after} if after else {})}
            page = (await hands.client.get(path, params=params)).json()
            assert len(page["items"]) <= 2
            found += [entry["order_id"] for entry in page["items"]]
            after = page["next"]
            if after is None:
                return found

    assert sorted(await walk("/queue")) == expected
    for _ in expected:
        await hands.complete(await hands.take())
    assert sorted(await walk("/deliveries")) == expected
    await hands.client.post("/deliveries/order-3/start")
    params = {"status": ["delivering"]}
    on_the_road = (await hands.client.get("/deliveries", params=params)).json()["items"]
    assert [delivery["order_id"] for delivery in on_the_road] == ["order-3"]


async def test_live_hints_say_look_again(kitchens: Kitchens, hands: Hands) -> None:
    lines: list[str] = []

    async def listen() -> None:
        async with hands.client.stream("GET", "/live") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            await _collect(answer, lines)

    listening = asyncio.create_task(listen())
    await eventually(lambda: ": listening" in lines)

    async def hinted() -> bool:
        order_id = await kitchens.order(item())
        await kitchens.hears(order_id, "kitchen.ticket_accepted")
        await asyncio.wait({listening}, timeout=0.1)
        return any(order_id in line for line in lines)

    await eventually(hinted, within=40)
    assert "event: changed" in lines
    # It ends with the kitchen, which does not wait for those who listen.
    await kitchens.kitchens.pop().stop()
    async with asyncio.timeout(5):
        await listening


async def _collect(answer: httpx.Response, lines: list[str]) -> None:
    async for line in answer.aiter_lines():
        lines.append(line)  # noqa: PERF401 - the test reads it while it grows
