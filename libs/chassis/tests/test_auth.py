"""Who may do what, and that the answer does not tell whose token was nearly right."""

import hmac
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from pizzeria_chassis import auth
from pizzeria_chassis.app import Service, create_app
from pizzeria_chassis.auth import Authenticator, Principal, require
from pizzeria_chassis.settings import STAFF, Staff
from pizzeria_chassis.testing import TOKENS, caller
from pydantic import SecretStr

CUSTOMER_TOKEN = "session-of-a-customer"
KINDS: tuple[auth.Kind, ...] = ("customer", "cook", "driver", "manager", "service")


async def _sessions(token: str) -> Principal | None:
    return Principal("customer", "c-1") if token == CUSTOMER_TOKEN else None


def _authenticator(*, with_customers: bool) -> Authenticator:
    tokens = {role: SecretStr(token) for role, token in TOKENS.items()}
    return Authenticator(tokens, _sessions if with_customers else None)


def _app(*, with_customers: bool = True) -> FastAPI:
    router = APIRouter()
    for kind in KINDS:

        async def only(who: Annotated[Principal, Depends(require(kind))]) -> dict[str, str]:
            return {"kind": who.kind, "id": who.id}

        router.get(f"/{kind}")(only)

    @router.get("/anybody")
    async def anybody(who: Annotated[Principal, Depends(require())]) -> dict[str, str]:
        return {"kind": who.kind}

    return create_app(
        Service(
            name="shop",
            description="A shop.",
            authenticator=_authenticator(with_customers=with_customers),
            routers=[router],
        )
    )


async def _status(app: FastAPI, path: str, token: str | None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with caller(app) as client:
        return (await client.get(path, headers=headers)).status_code


MAY = {
    "customer": {"customer"},
    "cook": {"cook", "manager"},
    "driver": {"driver", "manager"},
    "manager": {"manager"},
    "service": {"service"},
    "metrics": {"service", "manager"},
}


@pytest.mark.proves("P15")
@pytest.mark.parametrize("path", sorted(MAY))
@pytest.mark.parametrize("kind", KINDS)
async def test_role_matrix(path: str, kind: auth.Kind) -> None:
    token = CUSTOMER_TOKEN if kind == "customer" else TOKENS[kind]
    expected = 200 if kind in MAY[path] else 403
    assert await _status(_app(), f"/{path}", token) == expected


@pytest.mark.proves("P15")
@pytest.mark.parametrize("token", [None, "", "wrong", TOKENS["manager"] + "x", TOKENS["manager"][:-1], "ü"])
async def test_without_a_known_token_it_is_401(token: str | None) -> None:
    async with caller(_app()) as client:
        headers = {b"Authorization": f"Bearer {token}".encode()} if token is not None else {}
        answer = await client.get("/anybody", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "/problems/unauthenticated"


@pytest.mark.proves("P15")
async def test_a_customer_is_unknown_to_services_without_customers() -> None:
    assert await _status(_app(with_customers=False), "/anybody", CUSTOMER_TOKEN) == 401


async def test_403_says_which_role_it_takes() -> None:
    async with caller(_app(), "cook") as client:
        problem = (await client.get("/manager")).json()
    assert problem["type"] == "/problems/forbidden"
    assert "manager" in problem["detail"]


@pytest.mark.parametrize("presented", [*TOKENS.values(), "x", TOKENS["cook"][:-1]])
async def test_every_token_is_compared_whatever_was_presented(
    presented: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    await _authenticator(with_customers=False).authenticate(presented)
    assert compared == [(32, 32)] * len(STAFF), "digests of one length, no early end"


async def test_an_empty_staff_token_opens_nothing() -> None:
    roles: dict[Staff, SecretStr] = {}
    assert await Authenticator(roles).authenticate("") is None
