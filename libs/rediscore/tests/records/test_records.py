"""Records are typed, change in parts, and stay gone when they are gone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.records import HashRecords, Record, RecordMissing, VersionConflict
from rediscore.serialisers import UnreadableValue
from rediscore.testing import eventually

pytestmark = pytest.mark.proves("R9")

HOUR = timedelta(hours=1)


class Profile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="fullName", validation_alias="fullName", max_length=20)
    visits: int = Field(default=0, ge=0)
    spent: Decimal = Decimal(0)
    seen: datetime | None = None
    tags: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def not_anonymous(cls, name: str) -> str:
        assert name != "nobody"
        return name


@dataclass
class Point:
    x: int
    y: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Stay:
    begin: int
    end: int

    def __post_init__(self) -> None:
        assert self.begin <= self.end


ADA = Profile(
    fullName="Ada", spent=Decimal("12.10"), seen=datetime(2026, 1, 2, tzinfo=UTC), tags=("vip", "ü")
)


@pytest.fixture
def profiles(connections: RedisConnections, keys: KeySpace) -> HashRecords[Profile]:
    return HashRecords(connections, "profile", Profile, keys=keys, ttl=HOUR)


async def stored_keys(connections: RedisConnections, key_prefix: str) -> list[bytes]:
    pattern = f"{key_prefix}:*:record:*"
    return [key async for key in connections.commands.scan_iter(match=pattern, count=1000)]


@pytest.mark.parametrize("record_id", ["7", "a b", "{x}", "ключ:*"])
async def test_comes_back_as_it_was(profiles: HashRecords[Profile], record_id: str) -> None:
    version = await profiles.write(record_id, ADA)

    assert await profiles.read(record_id) == Record(ADA, version)
    assert await profiles.field(record_id, "spent") == Decimal("12.10")
    assert await profiles.read("other") is None
    with pytest.raises(RecordMissing):
        await profiles.field("other", "spent")


async def test_a_whole_write_leaves_nothing_of_the_old(
    connections: RedisConnections, keys: KeySpace, key_prefix: str
) -> None:
    """No value, no field that the model has lost, no TTL."""

    @dataclass
    class Older:
        x: int
        gone: str = "?"

    await HashRecords(connections, "point", Older, keys=keys, ttl=HOUR).write("p", Older(1))
    points = HashRecords(connections, "point", Point, keys=keys, ttl=None)
    await points.write("p", Point(3))

    record = await points.read("p")
    (key,) = await stored_keys(connections, key_prefix)

    assert record is not None
    assert record.value == Point(3, 0, [])
    assert set(await connections.execute("HKEYS", key)) == {b"x", b"y", b"notes", b":v"}
    assert await connections.execute("PTTL", key) == -1


async def test_two_who_change_different_fields_both_count(profiles: HashRecords[Profile]) -> None:
    await profiles.write("7", ADA)

    await asyncio.gather(
        *(profiles.update("7", visits=9) for _ in range(10)),
        *(profiles.update("7", spent=Decimal(3)) for _ in range(10)),
    )

    record = await profiles.read("7")
    assert record is not None
    assert record.value == ADA.model_copy(update={"visits": 9, "spent": Decimal(3)})


async def test_an_update_brings_nothing_back(
    connections: RedisConnections, keys: KeySpace, key_prefix: str
) -> None:
    short = HashRecords(connections, "p", Profile, keys=keys, ttl=timedelta(milliseconds=30), slide=True)
    await short.write("7", ADA)

    async def expired() -> bool:
        return await short.read("7") is None

    await eventually(expired)
    for record_id in ("7", "never"):
        with pytest.raises(RecordMissing):
            await short.update(record_id, visits=1)
        assert not await short.delete(record_id)
    assert await stored_keys(connections, key_prefix) == []


@pytest.mark.parametrize(("slide", "most"), [(False, 5_000), (True, 3_600_000)])
async def test_an_update_keeps_or_slides_the_ttl(
    connections: RedisConnections, keys: KeySpace, key_prefix: str, slide: bool, most: int
) -> None:
    records = HashRecords(connections, "p", Profile, keys=keys, ttl=HOUR, slide=slide)
    await records.write("7", ADA)
    (key,) = await stored_keys(connections, key_prefix)
    assert 3_000_000 < await connections.execute("PTTL", key) <= 3_600_000
    await connections.execute("PEXPIRE", key, 5_000)

    await records.update("7", visits=1)

    assert most * 0.5 < await connections.execute("PTTL", key) <= most


async def test_an_update_is_checked_against_the_model(profiles: HashRecords[Profile]) -> None:
    version = await profiles.write("7", ADA)
    wrong: list[dict[str, Any]] = [
        {"nmae": "x"},
        {"fullName": "x"},
        {"visits": "many"},
        {"visits": -1},
        {"visits": None},
        {"name": "nobody"},
        {"name": "x" * 21},
        {"visits": 1, "spent": "x"},
        {},
    ]
    for fields in wrong:
        with pytest.raises(ValueError, match=r"\S"):
            await profiles.update("7", **fields)

    assert await profiles.read("7") == Record(ADA, version)


async def test_rules_across_fields_cannot_be_checked_in_part(
    connections: RedisConnections, keys: KeySpace
) -> None:
    class Range(BaseModel):
        low: int
        high: int

        @model_validator(mode="after")
        def ordered(self) -> "Range":
            assert self.low <= self.high
            return self

    ranges = HashRecords(connections, "range", Range, keys=keys, ttl=HOUR)
    stays = HashRecords(connections, "stay", Stay, keys=keys, ttl=HOUR)
    version = await ranges.write("a", Range(low=1, high=2))
    await stays.write("a", Stay(1, 2))

    with pytest.raises(TypeError, match="write it whole"):
        await ranges.update("a", low=3)
    with pytest.raises(TypeError, match="write it whole"):
        await stays.update("a", begin=3)
    assert await ranges.write("a", Range(low=2, high=2), expected_version=version) > version


async def test_versions_are_checked_and_never_come_again(profiles: HashRecords[Profile]) -> None:
    first = await profiles.write("7", ADA, expected_version=0)
    second = await profiles.update("7", expected_version=first, visits=1)
    assert second > first
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: profiles.write("7", ADA, expected_version=first),
        lambda: profiles.update("7", expected_version=first, visits=5),
        lambda: profiles.delete("7", expected_version=first),
    ]
    for call in calls:
        with pytest.raises(VersionConflict) as raised:
            await call()
        assert (raised.value.expected, raised.value.actual) == (first, second)
    with pytest.raises(VersionConflict):
        await profiles.write("7", ADA, expected_version=0)

    assert await profiles.delete("7", expected_version=second)
    third = await profiles.write("7", ADA)
    assert third > second


async def test_one_of_many_who_saw_the_same_version_wins(profiles: HashRecords[Profile]) -> None:
    version = await profiles.write("7", ADA)

    outcomes = await asyncio.gather(
        *(profiles.update("7", expected_version=version, visits=n) for n in range(20)), return_exceptions=True
    )

    assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 19


async def test_a_model_may_gain_and_lose_fields(connections: RedisConnections, keys: KeySpace) -> None:
    @dataclass
    class Flat:
        x: int
        gone: str = "?"

    await HashRecords(connections, "point", Flat, keys=keys, ttl=HOUR).write("p", Flat(4))
    points = HashRecords(connections, "point", Point, keys=keys, ttl=HOUR)

    record = await points.read("p")

    assert record is not None
    assert record.value == Point(4, 0, [])
    assert await points.field("p", "y") == 0


async def test_what_does_not_fit_is_an_error_that_does_not_quote_it(
    connections: RedisConnections, keys: KeySpace, key_prefix: str, profiles: HashRecords[Profile]
) -> None:
    await profiles.write("7", ADA)
    (key,) = await stored_keys(connections, key_prefix)
    await connections.execute("HSET", key, "visits", '"secret"')

    for reading in (profiles.read("7"), profiles.field("7", "visits")):
        with pytest.raises(UnreadableValue) as raised:
            await reading
        assert "secret" not in str(raised.value)
    with pytest.raises(TypeError):
        await profiles.write("8", Point(1))  # type: ignore[arg-type]


def test_options_that_contradict(connections: RedisConnections, keys: KeySpace) -> None:
    with pytest.raises(ValueError, match="slide"):
        HashRecords(connections, "p", Point, keys=keys, ttl=None, slide=True)
    with pytest.raises(ValueError, match="ttl"):
        HashRecords(connections, "p", Point, keys=keys, ttl=timedelta(0))
    with pytest.raises(TypeError, match="dataclass"):
        HashRecords(connections, "p", int, keys=keys, ttl=HOUR)


@pytest.mark.proves("CLUSTER")
async def test_on_a_cluster(cluster_connections: RedisConnections, keys: KeySpace) -> None:
    points = HashRecords(cluster_connections, "point", Point, keys=keys, ttl=timedelta(minutes=1))
    ids = [f"p{n}" for n in range(20)]
    for n, point_id in enumerate(ids):
        version = await points.write(point_id, Point(n))
        await points.update(point_id, y=n, expected_version=version)

    assert [await points.field(point_id, "y") for point_id in ids] == list(range(20))
    assert all([await points.delete(point_id) for point_id in ids])
