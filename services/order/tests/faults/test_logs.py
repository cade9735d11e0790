"""What guests write stays out of the logs, whatever becomes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.order.tests.faults.processes import Replica
from services.order.tests.harness import Guest, House

MARK = "Zuckerpuppe"


@pytest.mark.proves("P15")
async def test_no_text_or_token_of_a_guest_is_logged(
    house: House, replica: Callable[[], Replica], tmp_path: Path
) -> None:
    log = tmp_path / "order.log"
    service = replica()
    service.log = log
    await service.start()
    secrets = await _use(house, service)
    assert await service.stop() == 0
    written = log.read_text(encoding="utf-8")
    assert "service_started" in written
    assert not [secret for secret in secrets if secret in written]


async def _use(house: House, service: Replica) -> list[str]:
    """Does all that a guest can do; what must not be in the logs."""
    body = {"name": MARK, "email": f"{MARK}@example.org", "phone": "+49 123 4567"}
    guest = Guest(service.http, (await service.http.post("/sessions", json=body)).json())
    for text in (MARK, f"{MARK}\x00"):
        await guest.patch("/me", {"name": text})
        await guest.order(delivery_address=text, notes=text)
        await guest.order(items=text, payment={"token": text})
        await guest.post("/cart/items", json={"pizza_id": text, MARK: text})
    await guest.add()
    answer = await guest.check_out(notes=MARK, key=MARK)
    assert answer.status_code == 201
    order_id = answer.json()["id"]
    await guest.until_status(order_id, "confirmed")
    hostile = {"X-Request-Id": f"{MARK}!", "User-Agent": MARK, "Cart-Token": MARK, "traceparent": MARK}
    for path in (f"/orders/{MARK}", f"/me/mailbox?after={MARK}", f"/{MARK}", f"/menu?{MARK}"):
        await service.http.get(path, headers=guest.headers | hostile)
    await guest.post(f"/orders/{order_id}/cancel")
    await guest.delete("/sessions")
    return [MARK, "4567", guest.headers["Authorization"].split()[1]]
