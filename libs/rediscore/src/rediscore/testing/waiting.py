"""Waiting for what becomes true in its own time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, within: float = ..., every: float = ..., what: str = ...
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], *, within: float = ..., every: float = ..., what: str = ...
) -> T: ...


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    *,
    within: float = 40,
    every: float = 0.01,
    what: str = "condition",
) -> T:
    """Call `condition` until it gives something true, and return that.

    Raises: AssertionError with the last value after `within` seconds.
    """
    deadline = time.monotonic() + within
    while True:
        value = condition()
        result: T = await value if inspect.isawaitable(value) else value
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} not true within {within} s; last value: {result!r}")
        await asyncio.sleep(every)
