"""Lua scripts: one file per atomic operation, shipped inside the package, run by hash."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

_INCLUDE = re.compile(r"^-- @include (\S+)$", re.MULTILINE)

Argument = str | bytes | int | float


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
            name: file in the folder of the package, e.g. `"lua/claim.lua"`; includes lie beside it.
        """
        folder, _, file = name.rpartition("/")
        place = resources.files(package)
        if folder:  # Python 3.13 takes no empty name
            place = place.joinpath(folder)

        def text(file: str) -> str:
            return place.joinpath(file).read_text(encoding="utf-8")

        source = _INCLUDE.sub(lambda include: text(include[1]), text(file))
        # The server names scripts by SHA-1; nothing rests on its strength.
        return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    async def __call__(self, client: "Redis", *, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """Run it: one round trip; one more when the server forgot it (restart, SCRIPT FLUSH)."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(self.source, len(keys), *keys, *args)
