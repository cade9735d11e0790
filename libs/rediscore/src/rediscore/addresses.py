"""Addresses as operators write them. Errors never quote one: it may hold a password."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

Address = tuple[str, int]

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\],]+):(?P<port>\d{1,5})")


def addresses(value: Any) -> Any:
    """`"host:port,host:port"` taken apart; anything but a text is left as it is."""
    if not isinstance(value, str):
        return value
    found = [_ADDRESS.fullmatch(part.strip()) for part in value.split(",")]
    if not all(part is not None and 1 <= int(part["port"]) <= 65535 for part in found):
        raise ValueError("must look like host:port,host:port")
    taken = tuple((part["host"].strip("[]"), int(part["port"])) for part in found if part is not None)
    if len(set(taken)) < len(taken):
        raise ValueError("names one address twice")
    return taken


def written(several: Sequence[Address]) -> str:
    """The opposite of `addresses`."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in several)


def parts_of_url(url: str) -> dict[str, Any]:
    """Settings in a `redis://` address."""
    hint = "REDIS_URL must look like redis://[user:password@]host[:port][/db]"
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        raise ValueError(hint) from None
    database = address.path.strip("/")
    if (
        address.scheme not in ("redis", "rediss")
        or not address.hostname
        or (database and not database.isdigit())
    ):
        raise ValueError(hint)
    if address.query or address.fragment:
        raise ValueError(f"{hint}; options have variables of their own, such as REDIS_SOCKET_TIMEOUT")
    parts: dict[str, Any] = {"host": address.hostname, "tls": address.scheme == "rediss"}
    if port is not None:
        parts["port"] = port
    if database:
        parts["db"] = int(database)
    if address.username:
        parts["username"] = unquote(address.username)
    if address.password:
        parts["password"] = unquote(address.password)
    return parts
