"""The four services as the supervisor sees them: a module to run, a port, an environment."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

PORTS: Mapping[str, int] = {"order": 8001, "kitchen": 8002, "menu": 8003, "analytics": 8004}
"""The services, each with the port that it gets when that is free."""

ROLES = ("cook", "driver", "manager", "service")
"""Whose tokens come from the environment."""

REDIS, SIMULATORS = "redis", "simulators"
REDIS_PORT = 6379


SHARED_MODULES = (
    "pizzeria_chassis.chassis",
    "pizzeria_chassis.requests",
    "pizzeria_chassis.serve",
    "pizzeria_contracts.events",
    "alembic.runtime.environment",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What all services import: loaded once, before they are forked. A name too few costs time, nothing else."""


def service_of(name: str) -> str:
    """`order` of `order-2`."""
    return name.partition("-")[0]


def module_of(service: str) -> str:
    """What `python -m` runs."""
    return "pizzeria.simulators" if service == SIMULATORS else f"{service}_service"


def make_tokens(given: Mapping[str, str]) -> dict[str, str]:
    """A token for each role, made up where none is given."""
    return {role: given.get(role) or secrets.token_urlsafe(24) for role in ROLES}


def sqlite_url(data: Path, service: str) -> str:
    """Where a service keeps its facts by default."""
    return f"sqlite:///{data.absolute() / f'{service}.db'}"


def shared_environment(
    urls: Mapping[str, str], tokens: Mapping[str, str], *, redis_url: str
) -> dict[str, str]:
    """What all processes get: where the others are, and who may do what."""
    return {
        **{f"{name.upper()}_URL": url for name, url in urls.items()},
        **{f"{role.upper()}_TOKEN": token for role, token in tokens.items()},
        "REDIS_URL": redis_url,
        "ENVIRONMENT": "demo",
        "PYTHONUNBUFFERED": "1",
    }


def inherited_environment() -> dict[str, str]:
    """Our own environment without what configures services: a stray REDIS_HOST must not reach them."""
    exact = {"PORT", "HOST", "DATABASE_URL", *(f"{name.upper()}_URL" for name in PORTS)}
    tokens = {f"{role.upper()}_TOKEN{suffix}" for role in ROLES for suffix in ("", "_FILE")}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in exact and name not in tokens and not name.startswith("REDIS_")
    }
