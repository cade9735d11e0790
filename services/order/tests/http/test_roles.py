"""Who may call what: every operation of this service, every kind of caller."""

import re

import httpx
import pytest
from pizzeria_chassis.testing import TOKENS

from services.order.tests.harness import Guest, House

ALL = frozenset({"nobody", "stranger", "guest", "cook", "driver", "manager", "service"})
GUEST = frozenset({"guest"})
READER = frozenset({"guest", "manager"})
OPERATOR = frozenset({"manager", "service"})

MAY = {
    "GET /health/live": ALL,
    "GET /health/ready": ALL,
    "GET /metrics": OPERATOR,
    "GET /events": OPERATOR,
    "GET /events/head": OPERATOR,
    "GET /events/positions": OPERATOR,
    "GET /menu": ALL,
    "POST /sessions": ALL,
    "POST /sessions/rotate": GUEST,
    "DELETE /sessions/current": GUEST,
    "DELETE /sessions": GUEST,
    "GET /me": GUEST,
    "PATCH /me": GUEST,
    "DELETE /me": GUEST,
    "GET /me/export": GUEST,
    "GET /me/mailbox": GUEST,
    "POST /me/sessions": GUEST,
    "POST /carts": ALL,
    "GET /cart": GUEST,
    "POST /cart/items": GUEST,
    "PATCH /cart/items/{line_id}": GUEST,
    "DELETE /cart/items/{line_id}": GUEST,
    "POST /cart/merge": GUEST,
    "POST /cart/checkout": GUEST,
    "POST /orders": GUEST,
    "GET /orders": READER,
    "GET /orders/{order_id}": READER,
    "GET /orders/{order_id}/journey": READER,
    "GET /orders/{order_id}/live": READER,
    "POST /orders/{order_id}/cancel": GUEST,
}
ENDS_A_SESSION = {"POST /sessions/rotate", "DELETE /sessions/current", "DELETE /sessions", "DELETE /me"}


@pytest.mark.proves("P15")
async def test_each_operation_is_for_those_whom_the_table_names_and_no_others(house: House) -> None:
    http = await house.open()
    paths = (await http.get("/openapi.json")).json()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    # Those of operators are the same in every service; the chassis has their tests.
    assert set(MAY) == {operation for operation in operations if " /ops/" not in operation}
    guest = await house.guest(http)
    wrong = []
    for operation, allowed in MAY.items():
        for who in sorted(ALL):
            may = who in allowed
            caller = await house.guest(http) if operation in ENDS_A_SESSION else guest
            status = await _call(http, operation, who, caller)
            unknown = who in ("nobody", "stranger")
            right = status not in (401, 403) if may else status == (401 if unknown else 403)
            if not right:
                wrong.append(f"{operation} by {who}: {status}")
    assert wrong == []


async def _call(http: httpx.AsyncClient, operation: str, who: str, guest: Guest) -> int:
    method, path = operation.split()
    tokens: dict[str, str] = {str(role): token for role, token in TOKENS.items()}
    tokens["stranger"] = "no-such-token"
    headers = {"Authorization": f"Bearer {tokens[who]}"} if who in tokens else {}
    if who == "guest":
        headers = guest.headers
    path = re.sub(r"{[^}]*}", "019ac000-0000-7000-8000-000000000000", path)
    body: dict[str, str] | None = {} if method in ("POST", "PATCH", "PUT") else None
    return (await http.request(method, path, headers=headers, json=body)).status_code
