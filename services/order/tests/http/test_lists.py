"""Order history."""

import pytest

from services.order.tests.harness import MANAGER, Guest


@pytest.mark.proves("P6")
async def test_history_comes_in_pages_newest_first(guest: Guest) -> None:
    placed = [await guest.placed("tok_declined" if n == 2 else "tok_approved") for n in range(5)]
    await guest.until_status(placed[2], "cancelled")
    first = (await guest.get("/orders?limit=3")).json()
    assert [order["id"] for order in first["items"]] == placed[:1:-1]
    second = (await guest.get(f"/orders?limit=3&after={first['next']}")).json()
    assert [order["id"] for order in second["items"]] == placed[1::-1]
    assert second["next"] is None
    cancelled = (await guest.get("/orders?status=cancelled")).json()["items"]
    assert [order["id"] for order in cancelled] == [placed[2]]


async def test_a_manager_finds_owed_refunds(guest: Guest) -> None:
    await guest.until_status(await guest.placed(), "confirmed")
    found = (await guest.http.get("/orders?payment=refund_pending", headers=MANAGER)).json()
    assert found == {"items": [], "next": None}
    assert (await guest.get("/orders?payment=captured")).json()["items"] != []
    assert (await guest.get("/orders?status=eaten")).status_code == 422
