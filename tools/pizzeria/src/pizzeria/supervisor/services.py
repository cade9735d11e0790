"""The four services as the supervisor sees them: a module to run, a port, an environment."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

PORTS: Mapping[str, int] = {"order": 8001, "kitchen": 8002, "menu": 8003, "analytics": 8004}
"""The services, each with the port that it gets when that is free."""

ROLES = ("cook", "driver", "manager", "service")
"""Whose tokens come from the environment."""

REDIS, SIMULATORS = "redis", "simulators"
REDIS_PORT = 6379


def command(name: str) -> list[str]:
    """What starts a service, or the simulators."""
    module = "pizzeria.simulators" if name == SIMULATORS else f"{name}_service"
    return [sys.executable, "-m", module]


def make_tokens(given: Mapping[str, str]) -> dict[str, str]:
    """A token for each role, made up where none is given."""
    return {role: given.get(role) or secrets.token_urlsafe(24) for role in ROLES}


def sqlite_url(data: Path, service: str) -> str:
    """Where a service keeps its facts by default."""
    return f"sqlite:///{data.absolute() / f'{service}.db'}"


def shared_environment(urls: Mapping[str, str], tokens: Mapping[str, str]) -> dict[str, str]:
    """What all processes get: where the others are, and who may do what."""
    return {
        **{f"{name.upper()}_URL": url for name, url in urls.items()},
        **{f"{role.upper()}_TOKEN": token for role, token in tokens.items()},
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
