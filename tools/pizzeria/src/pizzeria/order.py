"""`pizzeria order`: places an order as a new guest and follows it to its end."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pizzeria.errors import PizzeriaError, UnavailableError
from pizzeria.live.board import FINAL
from pizzeria.running import Service

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


def parse_items(pizzas: Sequence[str]) -> list[dict[str, Any]]:
    """`pizza[:size[:quantity]]` as lines of an order. Raises: PizzeriaError."""
    return [_parse(pizza) for pizza in pizzas]


def _parse(text: str) -> dict[str, Any]:
    pizza, _, rest = text.partition(":")
    size, _, quantity = rest.partition(":")
    if quantity and not quantity.isdigit():
        raise PizzeriaError(f"{text!r}: write pizza[:size[:quantity]], as in margherita:large:2.")
    return {"pizza_id": pizza, "size": size or "medium", "quantity": int(quantity or 1)}


def place_and_follow(
    order_url: str,
    items: Sequence[Mapping[str, Any]],
    *,
    express: bool,
    card: str,
    say: Callable[[str], None],
) -> str:
    """Place the order, tell every step of its journey, and return the final status.

    The order service may be away meanwhile: what is asked is safe to ask again, for up to 60 seconds.

    Raises: CallFailedError.
    """
    stranger = Service(order_url)
    token = _patiently(lambda: stranger.call("POST", "/sessions", {"name": "Guest"}), say)["token"]
    guest = Service(order_url, token)
    order = {"items": items, "priority": "express" if express else "standard", "payment": {"token": card}}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    placed = _patiently(lambda: guest.call("POST", "/orders", order, **key), say)
    say(f"order {placed['id']} placed: {placed['total']['amount']} {placed['total']['currency']}")
    for line in _journey(guest, placed["id"], say):
        say(line)
    done = _patiently(lambda: guest.call("GET", f"/orders/{placed['id']}"), say)
    payment = done["payment"]
    say(f"{done['status']}; captured {_money(payment['captured'])}, refunded {_money(payment['refunded'])}")
    return str(done["status"])


def _journey(guest: Service, order_id: str, say: Callable[[str], None]) -> Iterator[str]:
    """A line per event until the order has ended."""
    seen: set[str] = set()
    began: datetime | None = None
    while True:
        # The status first: what led to it is in the journey that is read after it.
        status = _patiently(lambda: guest.call("GET", f"/orders/{order_id}"), say)["status"]
        steps = _patiently(lambda: guest.call("GET", f"/orders/{order_id}/journey"), say)["items"]
        # What others tell comes with its own time, perhaps between lines that were seen before.
        new = [step for step in steps if json.dumps(step) not in seen]
        for step in new:
            at = datetime.fromisoformat(step["time"])
            began = began or at
            yield f"  +{(at - began).total_seconds():6.3f} s  {step['type'].removeprefix('pizzeria.')}"
        seen.update(map(json.dumps, new))
        if status in FINAL:
            return
        time.sleep(_LOOK_SECONDS)


def _patiently(call: Callable[[], dict[str, Any]], say: Callable[[str], None]) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    told = False
    while True:
        try:
            return call()
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise
            if not told:
                say(f"  (asking again: {error})")
            told = True
        time.sleep(_LOOK_SECONDS)


def _money(money: Any) -> str:
    return f"{money['amount']} {money['currency']}" if isinstance(money, Mapping) else str(money)
