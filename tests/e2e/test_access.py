"""Who may call what, asked of every operation of every service by every kind of caller."""

import re

import httpx
import pytest

from tests.e2e.access import ACCESS, ALL, OPERATIONS_UNDER_OPS
from tests.e2e.harness import Pizzeria

pytestmark = pytest.mark.xdist_group("e2e-full")

ENDS_A_SESSION = {"POST /sessions/rotate", "DELETE /sessions/current", "DELETE /sessions", "DELETE /me"}
NOTHING = "019ac000-0000-7000-8000-000000000000"


@pytest.mark.proves("P15")
@pytest.mark.parametrize("service", sorted(ACCESS))
async def test_each_operation_is_for_those_whom_the_table_names_and_no_others(
    pizzeria: Pizzeria, service: str
) -> None:
    document = (await pizzeria.call(service, "GET", "/openapi.json")).json()
    operations = {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    under_ops = {operation for operation in operations if " /ops/" in operation}
    assert operations - under_ops == set(ACCESS[service]), "an operation is not in the table, or is gone"
    may = {**ACCESS[service], **dict.fromkeys(under_ops, OPERATIONS_UNDER_OPS)}
    guest = (await pizzeria.guest()).token
    wrong = []
    for operation, allowed in may.items():
        for who in sorted(ALL):
            token = guest if who == "guest" else pizzeria.back_end.tokens.get(who)
            if who == "guest" and operation in ENDS_A_SESSION:
                token = (await pizzeria.guest()).token
            status = await _call(
                pizzeria, service, operation, "no-such-token" if who == "stranger" else token
            )
            unknown = who in ("nobody", "stranger") or (who == "guest" and service != "order")
            right = status not in (401, 403) if who in allowed else status == (401 if unknown else 403)
            if not right:
                wrong.append(f"{operation} by {who}: {status}")
    assert wrong == []


async def _call(pizzeria: Pizzeria, service: str, operation: str, token: str | None) -> int:
    """The status alone: a stream is left at once, and what is named does not exist."""
    method, path = operation.split()
    url = pizzeria.back_end.urls[service][0] + re.sub(r"{[^}]*}", NOTHING, path)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body: dict[str, str] | None = {} if method in ("POST", "PATCH", "PUT") else None
    request = pizzeria.http.build_request(method, url, headers=headers, json=body)
    answer: httpx.Response = await pizzeria.http.send(request, stream=True)
    await answer.aclose()
    return answer.status_code
