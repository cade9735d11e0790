"""`cached`: a function whose results lie in a cache."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    cast,
    overload,
)
from weakref import WeakKeyDictionary

from rediscore.cache.call_key import Template, Values, binder, from_arguments, receiver_of

if TYPE_CHECKING:
    from rediscore.cache.cache import Cache

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class CachedFunction(Generic[P, R]):
    """Called like the function it stands for; each set of arguments has an entry in the cache.

    As a method it belongs to the class: objects share the entries, `self` is no part of the key.
    """

    __name__: str

    def __init__(self, plan: "_Plan[R]", bound: tuple[object, ...] = ()) -> None:
        if not bound:  # made at every call of a method: there it would cost more than the key
            functools.update_wrapper(self, plan.function)
        self._plan = plan
        self._bound = bound

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result from the cache, or else of the function: `Cache.remember`, with its round trips."""
        plan = self._plan
        if self._bound:
            args = (*self._bound, *args)  # type: ignore[assignment]
        values = plan.bind(*args, **kwargs)
        return await plan.cache.remember(
            plan.key(values),
            lambda: plan.run(*args, **kwargs),
            ttl=plan.ttl,
            tags=plan.tags(values),
        )

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Key of this call in the cache.

        Raises: TypeError when an argument has no stable text.
        """
        return self._plan.key(self._values(args, kwargs))

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Delete the entry of this call; a computation under way does not bring the old one back."""
        await self._plan.cache.delete(self.key(*args, **kwargs))

    async def invalidate_all(self) -> None:
        """Invalidate the entries of all calls, made in whatever process, by the tag of this function."""
        await self._plan.cache.invalidate_tags(self._plan.tag)

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute this call anew, whatever the cache has, and keep the result."""
        await self.invalidate(*args, **kwargs)
        return await self(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(
        self: "CachedFunction[Concatenate[S, Q], R]", instance: S, owner: type
    ) -> "CachedFunction[Q, R]": ...

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else CachedFunction(self._plan, (instance,))

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Values:
        return self._plan.bind(*self._bound, *args, **kwargs)


class _Plan(Generic[R]):
    """What is known when the function is decorated."""

    def __init__(
        self,
        cache: "Cache[R]",
        function: Callable[..., Any],
        template: str | None,
        ttl: timedelta | None,
        tags: Sequence[str],
        in_thread: bool,
    ) -> None:
        if not callable(function) or inspect.iscoroutinefunction(function) == in_thread:
            raise TypeError(
                f"cached() takes async functions and methods; a blocking one with in_thread=True, "
                f"which runs it in a thread. This is {function!r}."
            )
        self.cache = cache
        self.function = function
        self.run: Callable[..., Awaitable[R]] = (
            functools.partial(asyncio.to_thread, function) if in_thread else function
        )
        self.ttl = ttl
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.tag = f"@{self.name}"
        self._own_tag = (self.tag,)
        signature = inspect.signature(function)
        receiver = receiver_of(function)
        self.bind = binder(signature)
        self.template = None if template is None else Template(template, signature, receiver)
        self._tags = [Template(tag, signature, receiver) for tag in tags]
        self._first = 0 if receiver is None else 1
        _register(self)

    def key(self, values: Values) -> str:
        if self.template is not None:
            return self.template(values)
        return from_arguments(self.name, values[self._first :])

    def tags(self, values: Values) -> tuple[str, ...]:
        return (self.tag, *[tag(values) for tag in self._tags]) if self._tags else self._own_tag


_taken: WeakKeyDictionary["Cache[Any]", dict[str, Template | None]] = WeakKeyDictionary()


def _register(plan: _Plan[Any]) -> None:
    """No two functions share a key: that is seen here, when they are decorated."""
    taken, mine = _taken.setdefault(plan.cache, {}), plan.template
    if plan.name in taken:
        raise ValueError(f"{plan.name} is cached here already; two functions of one name need two caches.")
    if mine is not None and mine.text.startswith("@"):
        raise ValueError(f"{mine.text!r}: keys that begin with @ are made from arguments.")
    for name, other in taken.items():
        if mine is not None and other is not None and other.may_equal(mine):
            raise ValueError(
                f"{mine.text!r} of {plan.name} and {other.text!r} of {name} may give the same key; "
                "begin each with a word of its own."
            )
    taken[plan.name] = mine


@overload
def cached(
    cache: "Cache[R]",
    template: str | None = None,
    *,
    ttl: timedelta | None = None,
    tags: Sequence[str] = (),
    in_thread: Literal[False] = False,
) -> Callable[[Callable[P, Awaitable[R]]], CachedFunction[P, R]]: ...


@overload
def cached(
    cache: "Cache[R]",
    template: str | None = None,
    *,
    ttl: timedelta | None = None,
    tags: Sequence[str] = (),
    in_thread: Literal[True],
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...


def cached(
    cache: "Cache[R]",
    template: str | None = None,
    *,
    ttl: timedelta | None = None,
    tags: Sequence[str] = (),
    in_thread: bool = False,
) -> Callable[[Callable[P, Any]], CachedFunction[P, R]]:
    """Keep the results of an async function or method in `cache`.

    `f(1)`, `f(a=1)` and, with 1 as its default, `f()` are one entry. The decorated function has `key`,
    `invalidate`, `invalidate_all` and `refresh`.

    Args:
        template: the key, with fields from the arguments: `"profile:{user.id}"`. Arguments it does not
            name are no part of the key. Without it the key is made from the name of the function and all
            its arguments (not `self` and `cls`): numbers, text, bytes, dates, Decimals, UUIDs, enums,
            models, dataclasses, and lists, tuples, sets and dicts of those.
        ttl: of the entries; None: that of the cache.
        tags: of the entries, with fields like the template: `("org:{user.org_id}",)`.
        in_thread: the function is a blocking one and runs in a thread.

    Raises: ValueError, at decoration, for a field that is no parameter, or a key that another function
        may have; TypeError for a function that is not async. A call raises TypeError for an argument that
        has no stable text.
    """

    def decorate(function: Callable[P, Any]) -> CachedFunction[P, R]:
        return CachedFunction(_Plan(cache, function, template, ttl, tags, in_thread))

    return cast("Callable[[Callable[P, Any]], CachedFunction[P, R]]", decorate)
