"""The state file: how people, tools and tests find what is running."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a process is reached, and its process id; `None` while it is down."""

    url: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class State:
    """Content of `state.json`. The first replica of a service has its plain name, the next are `order-2` …"""

    redis: Endpoint
    services: Mapping[str, Endpoint]
    tokens: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "State":
        """Raises: OSError, ValueError or KeyError when there is no usable file."""
        content: Any = json.loads(path.read_text())
        return cls(
            redis=Endpoint(**content["redis"]),
            services={name: Endpoint(**endpoint) for name, endpoint in content["services"].items()},
            tokens=content["tokens"],
        )

    def write(self, path: Path) -> None:
        """Replace the file in one step; only the owner may read it."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, mode 0600 from its first byte on."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
