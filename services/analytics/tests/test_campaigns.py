"""Segments of customers and campaigns for them, as managers see them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from analytics_service.campaigns import Campaigns, Wish
from analytics_service.tables import campaign_members
from pizzeria_contracts.events import OrderConfirmed, PaymentCaptured
from rediscore.streams import RawEvent
from sqlalchemy import func, select

from services.analytics.tests.evening import content, event
from services.analytics.tests.harness import Analytics, Books, House, open_books

pytestmark = pytest.mark.proves("P12")

NOW = datetime.now(UTC)


def bought(customer: str, pizza: str, cents: int, days_ago: int, number: int) -> list[RawEvent]:
    at, subject = NOW - timedelta(days=days_ago), f"o-{customer}-{number}"
    about = content(customer, [pizza], f"{cents / 100:.2f}")
    return [
        event(OrderConfirmed(**about), subject=subject, time=at),
        event(PaymentCaptured(amount=about["total"]), subject=subject, time=at),
    ]


CUSTOMERS = {
    "ada": [("hawaiian", 2000, days) for days in (1, 2, 3)],  # new, regular
    "bob": [("hawaiian", 9000, 60), ("margherita", 9000, 50), ("margherita", 900, 40)],  # spender, lapsed
    "cy": [("margherita", 1000, 100), ("margherita", 1000, 5)],
    "di": [("calzone", 1000, 0)],  # new
}


@pytest_asyncio.fixture
async def shop(house: House, books: Books, analytics: Analytics) -> Analytics:
    """Analytics that knows four customers."""
    events = [
        one
        for customer, orders in CUSTOMERS.items()
        for number, (pizza, cents, days) in enumerate(orders)
        for one in bought(customer, pizza, cents, days, number)
    ]
    await books.keep(*events)
    await analytics.archived(len(events))
    return analytics


async def members(analytics: Analytics, path: str, limit: int = 2) -> list[str]:
    """All pages."""
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await analytics.get(path, limit=limit, **cursor)
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return sorted(found)
        cursor = {"cursor": page["next"]}


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat().replace("+00:00", "Z")


async def test_who_is_in_which_segment(shop: Analytics) -> None:
    counts = {item["name"]: item["count"] for item in (await shop.get("/segments"))["items"]}
    expected = {
        "new": ["ada", "di"], "regular": ["ada"], "lapsed": ["bob"], "big-spender": ["bob"],
        "likes-hawaiian": ["ada"], "likes-margherita": ["bob", "cy"], "likes-calzone": ["di"],
    }  # fmt: skip
    assert counts == {name: len(customers) for name, customers in expected.items()}
    for name, customers in expected.items():
        assert await members(shop, f"/segments/{name}", limit=1) == customers


async def test_what_segments_have_in_common(shop: Analytics) -> None:
    assert await shop.get("/segments/overlap", of="lapsed,likes-margherita") == {
        "of": ["lapsed", "likes-margherita"], "counts": [1, 2], "both": 1, "either": 2, "similarity": 0.5,
    }  # fmt: skip
    assert (await shop.get("/segments/overlap", of="new,lapsed"))["both"] == 0


async def test_a_wiped_redis_knows_the_segments_again(shop: Analytics, house: House) -> None:
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
    await shop.archived(18)
    assert await members(shop, "/segments/likes-margherita") == ["bob", "cy"]


async def test_an_audience_is_a_picture_with_an_end_that_survives_a_wipe(
    shop: Analytics, house: House, books: Books
) -> None:
    wish = {"name": "Come back", "segments": ["lapsed", "regular", "big-spender"], "expires_at": in_days(7)}
    answer = await shop.manager.post("/campaigns", json=wish)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["audience_size"], made["status"], made["segments"]) == (2, "running", wish["segments"])
    at = answer.headers["location"]
    assert await shop.get(at) == made
    assert await members(shop, f"{at}/audience", limit=1) == ["ada", "bob"]

    await books.keep(*bought("bob", "calzone", 1000, 0, 9))  # lapsed no more, and a new regular
    await shop.archived(20)
    assert await members(shop, f"{at}/audience") == ["ada", "bob"]
    async with redis.asyncio.Redis.from_url(house.redis_url) as client:
        await client.flushdb()
        await shop.archived(20)
        both = await asyncio.gather(*(members(shop, f"{at}/audience") for _ in range(3)))
        assert both == [["ada", "bob"]] * 3
        keys = [key async for key in client.scan_iter("*campaign*")]
        assert len(keys) == 1
        assert 6 * 86_400_000 < await client.pttl(keys[0]) <= 7 * 86_400_000


async def test_campaigns_are_facts_on_both_databases(any_house: House) -> None:
    async with open_books(any_house.database_url, any_house.redis_url) as books:
        await books.keep(*bought("di", "calzone", 1000, 0, 1))
        await books.count()
        campaigns = Campaigns(books.database, books.projections)
        wish = Wish("Welcome", ("new", "regular"), datetime.now(UTC) + timedelta(days=1))
        made = await asyncio.gather(*(campaigns.begin(wish, "k-1") for _ in range(3)))
        assert len({campaign.id for campaign, _ in made}) == 1
        assert sorted(replayed for _, replayed in made) == [False, True, True]
        campaign = made[0][0]
        assert await campaigns.find(campaign.id) == campaign == await campaigns.of_key(wish, "k-1")
        async with redis.asyncio.Redis.from_url(any_house.redis_url) as client:
            await client.flushdb()
        assert await campaigns.audience(campaign, 10, None) == (["di"], None)
        await campaigns.forget_ended()  # it has not ended
        async with redis.asyncio.Redis.from_url(any_house.redis_url) as client:
            await client.flushdb()
        assert await campaigns.audience(campaign, 10, None) == (["di"], None)


async def test_a_campaign_ends(shop: Analytics, books: Books) -> None:
    wish = {"name": "Now", "segments": ["new"], "expires_at": in_days(2 / 86_400)}
    made = (await shop.manager.post("/campaigns", json=wish)).json()
    assert made["audience_size"] == 2
    await asyncio.sleep(2.1)
    assert (await shop.get(f"/campaigns/{made['id']}"))["status"] == "ended"
    assert await members(shop, f"/campaigns/{made['id']}/audience") == []
    await Campaigns(books.database, books.projections).forget_ended()
    async with books.database.read() as connection:
        left = await connection.execute(select(func.count()).select_from(campaign_members))
        assert left.scalar_one() == 0
    assert (await shop.get(f"/campaigns/{made['id']}"))["audience_size"] == 2


async def test_a_campaign_for_nobody_is_one(analytics: Analytics, books: Books) -> None:
    await books.keep(*bought("di", "calzone", 1000, 0, 1))
    await analytics.archived(2)
    wish = {"name": "Nobody", "segments": ["lapsed"], "expires_at": in_days(1)}
    made = (await analytics.manager.post("/campaigns", json=wish)).json()
    assert made["audience_size"] == 0
    assert await members(analytics, f"/campaigns/{made['id']}/audience") == []


async def test_the_same_key_is_the_same_campaign(shop: Analytics) -> None:
    wish = {"name": "Spring", "segments": ["new"], "expires_at": in_days(7)}

    async def ask(**changes: Any) -> Any:
        return await shop.manager.post(
            "/campaigns", json={**wish, **changes}, headers={"Idempotency-Key": "k-1"}
        )

    answers = await asyncio.gather(*(ask() for _ in range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    other = await ask(name="Summer")
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-key-reused")
    await shop.manager.post("/campaigns", json=wish)  # without a key it is another one
    first = await shop.get("/campaigns", limit=1)
    second = await shop.get("/campaigns", limit=1, cursor=first["next"])
    assert second["items"] == [answers[0].json()]
    assert (await shop.get("/campaigns", limit=1, cursor=second["next"]))["items"] == []


BAD: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"segments": ["new", "dragons", "new"]}, ["/segments/1", "/segments/2"]),
    ({"segments": []}, ["/segments"]),
    ({"segments": ["seen"]}, ["/segments/0"]),
    ({"name": ""}, ["/name"]),
    ({"name": "x" * 101}, ["/name"]),
    ({"name": "a\x00b"}, ["/name"]),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, ["/expires_at"]),
    ({"expires_at": "2026-01-01T00:00:00Z"}, ["/expires_at"]),
    ({"expires_at": in_days(400)}, ["/expires_at"]),
    ({"expires_at": "2026-12-01T00:00:00"}, ["/expires_at"]),
    ({"budget": 5}, ["/budget"]),
)


async def test_bad_campaigns_are_refused_by_pointer(shop: Analytics) -> None:
    for changes, pointers in BAD:
        wish = {"name": "Spring", "segments": ["new"], "expires_at": in_days(7), **changes}
        answer = await shop.manager.post("/campaigns", json=wish)
        assert answer.status_code == 422, changes
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert (await shop.get("/campaigns"))["items"] == []


async def test_what_is_not_there(shop: Analytics) -> None:
    for path in ("/segments/dragons", "/segments/seen", "/campaigns/c-404", "/campaigns/c-404/audience"):
        assert (await shop.manager.get(path)).status_code == 404
    for of in ("new", "new,dragons", "new,regular,lapsed"):
        answer = await shop.manager.get("/segments/overlap", params={"of": of})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "of")
    for cursor in ("?", "a\x00b"):
        answer = await shop.manager.get("/segments/new", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "cursor")
    assert (await shop.manager.get("/campaigns/a%00b")).status_code == 422
