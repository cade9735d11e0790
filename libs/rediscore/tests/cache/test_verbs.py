"""The plain verbs: values are values, TTLs stay, nobody else's keys are touched."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from rediscore.cache import Cache, NotANumber
from rediscore.client import RedisConnections
from rediscore.serialisers import Msgpack

pytestmark = pytest.mark.proves("R2")

MakeCache = Callable[..., Cache[Any]]


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}, "text", 1.5, {"a": [1, None]}])
@pytest.mark.proves("C6")
async def test_every_value_is_a_value_and_no_miss(cache: Cache[Any], value: object) -> None:
    missing = object()
    assert await cache.get("k", missing) is missing

    await cache.set("k", value)

    assert await cache.get("k", missing) == value
    assert await cache.has("k")
    assert await cache.get_many(["k", "absent"]) == {"k": value}
    assert not await cache.add("k", "other")

    async def factory() -> object:
        raise AssertionError("there is a value")

    assert await cache.remember("k", factory) == value
    assert await cache.pull("k", missing) == value
    assert await cache.pull("k", missing) is missing


class Pizza(BaseModel):
    name: str
    toppings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@pytest.mark.proves("R3")
@pytest.mark.parametrize(
    ("model", "value"), [(Pizza, Pizza(name="a", toppings=("b",))), (Point, Point(1, 2)), (int, 3)]
)
async def test_values_come_back_with_their_type(make_cache: MakeCache, model: type, value: Any) -> None:
    cache = make_cache(model=model)
    assert await cache.remember("k", lambda: value) == value
    again = await cache.get("k")
    assert again == value
    assert type(again) is model


async def test_a_ttl_ends_a_value_and_forever_does_not(
    cache: Cache[Any], age: Any, connections: RedisConnections, key_prefix: str
) -> None:
    await cache.set("short", 1, ttl=timedelta(seconds=5))
    await cache.set("usual", 1)
    await cache.forever("always", 1, tags=["t"])
    await age(6)
    assert await cache.get_many(["short", "usual", "always"]) == {"usual": 1, "always": 1}
    await age(100)
    assert await cache.get_many(["short", "usual", "always"]) == {"always": 1}
    await cache.invalidate_tags("t")
    assert not await cache.has("always")


async def test_jitter_spreads_the_ends(
    make_cache: MakeCache, connections: RedisConnections, key_prefix: str
) -> None:
    cache = make_cache(jitter=0.5)
    await cache.set_many({str(n): n for n in range(50)})
    ends = [await connections.execute("PTTL", f"{key_prefix}:v1:{{cache:things:0}}:e:{n}") for n in range(50)]
    assert 25_000 < min(ends) < max(ends) <= 60_000
    assert max(ends) - min(ends) > 10_000


async def test_increments_keep_the_ttl(
    cache: Cache[Any], age: Any, connections: RedisConnections, key_prefix: str
) -> None:
    assert await cache.increment("n", 5) == 5
    await age(50)
    assert await cache.increment("n") == 6
    assert await cache.decrement("n", 8) == -2
    assert await cache.get("n") == -2
    assert await connections.execute("PTTL", f"{key_prefix}:v1:{{cache:things:0}}:e:n") <= 10_000
    await age(11)
    assert await cache.increment("n") == 1

    await cache.set("tagged", 10, tags=["t"])
    assert await cache.increment("tagged", 2) == 12
    await cache.invalidate_tags("t")
    assert await cache.increment("tagged", 2) == 2


async def test_only_whole_numbers_of_a_size_are_incremented(cache: Cache[Any], make_cache: MakeCache) -> None:
    for other in ("text", 1.5, None, True):
        await cache.set("k", other)
        with pytest.raises(NotANumber):
            await cache.increment("k")
        assert await cache.get("k") == other
    await cache.set("k", 2**53)
    with pytest.raises(NotANumber, match="too large"):
        await cache.increment("k")
    with pytest.raises(ValueError, match="Json"):
        await make_cache("packed", serialiser=Msgpack()).increment("k")


async def test_add_is_for_one_of_many_and_for_what_is_absent(cache: Cache[Any], age: Any) -> None:
    assert await cache.add("k", "first", tags=["t"])
    assert not await cache.add("k", "second")
    await cache.invalidate_tags("t")
    assert await cache.add("k", "third", ttl=timedelta(seconds=5))
    await age(6)
    assert await cache.add("k", "fourth")
    assert await cache.get("k") == "fourth"


async def test_touch_gives_a_full_ttl(make_cache: MakeCache, age: Any) -> None:
    for options in ({}, {"fail_safe": timedelta(minutes=5)}):
        cache = make_cache(f"touched{len(options)}", **options)
        await cache.set("k", 1)
        await age(50)
        assert await cache.touch("k")
        await age(50)
        assert await cache.get("k") == 1
        await age(11)
        assert not await cache.touch("k")
        assert not await cache.touch("absent")


@pytest.mark.parametrize("prefix", ["a", "*", "[", "a?", "\\", "é:", ""])
async def test_deleting_by_prefix_takes_the_prefix_by_its_letters(
    cache: Cache[Any], make_cache: MakeCache, prefix: str
) -> None:
    names = ["a", "ab", "*", "*b", "b", "[", "[a]", "a?", "a?b", "\\", "\\x", "é:", "é:1", "{x}", "a b"]
    await cache.set_many({name: name for name in names})
    others = [make_cache("things2"), make_cache("thing")]
    for other in others:
        await other.set_many({name: name for name in names})

    await cache.delete_prefix(prefix)

    assert set(await cache.get_many(names)) == {name for name in names if not name.startswith(prefix)}
    for other in others:
        assert set(await other.get_many(names)) == set(names)


@pytest.mark.parametrize("shards", [1, 3])
async def test_clear_is_for_this_cache_alone(
    make_cache: MakeCache, connections: RedisConnections, key_prefix: str, shards: int
) -> None:
    cache = make_cache("users", shards=shards)
    others = [make_cache("users2"), make_cache("user"), make_cache("users", prefix=f"{key_prefix}2")]
    many = {f"k{n}": n for n in range(1200)}
    await cache.set_many(many, tags=["t"])
    for other in others:
        await other.set("k1", 1, tags=["t"])
    await connections.execute("SET", f"{key_prefix}-foreign", "x")
    assert len(await cache.get_many(many)) == 1200

    await cache.clear()

    assert await cache.get_many(many) == {}
    for other in others:
        assert await other.get("k1") == 1
    assert await connections.execute("GET", f"{key_prefix}-foreign") == b"x"
    left = [key async for key in connections.scan_keys(f"{key_prefix}:v1:{{cache:users:*}}:e:*")]
    assert left == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ttl": timedelta(0)}, "millisecond"),
        ({"jitter": 1.0}, "jitter"),
        ({"early_refresh": 1.5}, "early_refresh"),
        ({"soft_timeout": timedelta(seconds=1)}, "fail_safe"),
        ({"patience": timedelta(0)}, "patience"),
        ({"shards": 0}, "shard"),
        ({"model": int, "serialiser": Msgpack()}, "not both"),
        (
            {
                "fail_safe": timedelta(minutes=1),
                "soft_timeout": timedelta(seconds=2),
                "hard_timeout": timedelta(seconds=1),
            },
            "shorter",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    make_cache: MakeCache, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_cache(**options)


async def test_tags_are_words(cache: Cache[Any]) -> None:
    for tags in ("word", [""], ["x" * 300], [str(n) for n in range(101)]):
        with pytest.raises(ValueError, match="ag"):
            await cache.set("k", 1, tags=tags)
