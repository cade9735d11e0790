"""Ids of requests, so that a script recognises the one that is sent again."""

import os
import secrets
from itertools import count

_counter = count()
_process = secrets.token_hex(8)


def _after_fork() -> None:
    global _process  # noqa: PLW0603  a child must not go on with the ids of its parent
    _process = secrets.token_hex(8)


os.register_at_fork(after_in_child=_after_fork)


def request_id() -> str:
    """An id that no other call, process or machine gives. No secret: anyone may guess the next one."""
    return f"{_process}{next(_counter):x}"
