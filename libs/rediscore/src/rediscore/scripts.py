"""Lua scripts: one file per atomic operation, shipped inside the package, run by hash."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from redis.exceptions import NoScriptError

_INCLUDE = re.compile(r"^-- @include (\S+)$", re.MULTILINE)

Argument = str | bytes | int | float


class Executor(Protocol):
    """Whatever sends one command and gives its reply; `RedisConnections` is one."""

    async def execute(self, *command: Argument, idempotent: bool = False) -> Any:
        """See `RedisConnections.execute`."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """An atomic operation on the server.

    All keys are passed as KEYS and share one hash tag, so it runs on a cluster too.
    """

    name: str
    source: str
    sha: str

    @staticmethod
    @cache
    def load(package: str, name: str) -> "Script":
        """Read a script from a package; a line `-- @include other.lua` is replaced by that file.

        Args:
            package: dotted name, e.g. `"rediscore.queue"`.
            name: file in the folder of the package, e.g. `"lua/claim.lua"`; includes lie beside it, or,
                with a leading slash, in the folder `lua` of rediscore: `-- @include /once.lua`.
        """
        folder, _, file = name.rpartition("/")
        place = resources.files(package)
        if folder:  # Python 3.13 takes no empty name
            place = place.joinpath(folder)
        shared = resources.files("rediscore").joinpath("lua")

        def text(file: str) -> str:
            source = shared.joinpath(file[1:]) if file.startswith("/") else place.joinpath(file)
            return source.read_text(encoding="utf-8")

        source = _INCLUDE.sub(lambda include: text(include[1]), text(file))
        # The server names scripts by SHA-1; nothing rests on its strength.
        return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    async def __call__(
        self,
        executor: Executor,
        *,
        keys: Sequence[str],
        args: Sequence[Argument] = (),
        idempotent: bool = False,
    ) -> Any:
        """Run it: one round trip; one more when the server forgot it (restart, SCRIPT FLUSH).

        Args:
            idempotent: a second run does no harm, so it is sent again when the connection fails.
        """
        try:
            return await executor.execute("EVALSHA", self.sha, len(keys), *keys, *args, idempotent=idempotent)
        except NoScriptError:
            return await executor.execute("EVAL", self.source, len(keys), *keys, *args, idempotent=idempotent)
