"""Who is calling, and who may: bearer tokens and roles."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pizzeria_contracts.problems import ProblemType
from pydantic import SecretStr

from pizzeria_chassis.problems import Problem
from pizzeria_chassis.settings import Staff

__all__ = ["Authenticator", "Principal", "require"]

Kind = Literal["customer", "cook", "driver", "manager", "service"]

# What a kind of caller may be taken for, itself included.
_MAY_ACT_AS: Final[Mapping[Kind, frozenset[Kind]]] = {
    "customer": frozenset({"customer"}),
    "cook": frozenset({"cook"}),
    "driver": frozenset({"driver"}),
    "manager": frozenset({"manager", "cook", "driver"}),
    "service": frozenset({"service"}),
}


@dataclass(frozen=True)
class Principal:
    """An authenticated caller: a customer by id, or staff and services by their kind."""

    kind: Kind
    id: str

    def may_act_as(self, *kinds: Kind) -> bool:
        return not _MAY_ACT_AS[self.kind].isdisjoint(kinds)


class Authenticator:
    """Turns a bearer token into a principal.

    Staff tokens are compared by digest in constant time, all of them each time, so that timing tells
    neither how much of a token is right nor whose it is. ``customer`` resolves session tokens; only the
    order service sets it.
    """

    def __init__(
        self,
        tokens: Mapping[Staff, SecretStr],
        customer: Callable[[str], Awaitable[Principal | None]] | None = None,
    ) -> None:
        self._digests: dict[Kind, bytes] = {
            kind: _digest(token.get_secret_value()) for kind, token in tokens.items()
        }
        self.customer = customer

    async def authenticate(self, token: str) -> Principal | None:
        """Return whose token this is, or None. No I/O, except in the customer hook."""
        presented = _digest(token)
        found: Principal | None = None
        for kind, expected in self._digests.items():
            if hmac.compare_digest(presented, expected):
                found = Principal(kind, kind)
        if found is None and self.customer is not None:
            return await self.customer(token)
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


_bearer: Final = HTTPBearer(auto_error=False, description="A session token, or a token of staff.")


def require(*kinds: Kind) -> Callable[..., Awaitable[Principal]]:
    """Return a dependency that lets only these kinds of callers in, or every known caller if none is named.

    A manager may do what cooks and drivers may. Answers 401 without a known token, 403 in the wrong role::

        Cook = Annotated[Principal, Depends(require("cook"))]
    """

    async def principal(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        authenticator: Authenticator = request.app.state.authenticator
        found = await authenticator.authenticate(credentials.credentials) if credentials else None
        if found is None:
            raise Problem(
                ProblemType.UNAUTHENTICATED,
                "Who are you?",
                401,
                "Send a known token as 'Authorization: Bearer <token>'.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if kinds and not found.may_act_as(*kinds):
            raise Problem(
                ProblemType.FORBIDDEN, "Not your role", 403, f"This takes the role {' or '.join(kinds)}."
            )
        return found

    return principal
