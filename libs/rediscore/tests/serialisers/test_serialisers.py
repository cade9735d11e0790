"""What is written is read back equal; what is anything else is unreadable, and never run."""

import hmac
import pickle
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from rediscore.client import RedisConnections
from rediscore.serialisers import (
    Json,
    Msgpack,
    Pydantic,
    Serialiser,
    SignedPickle,
    UnreadableValue,
    serialiser_for,
)

KEY, OLD_KEY, FOREIGN_KEY = b"k" * 16, b"o" * 32, b"f" * 16
ALL: list[Serialiser[Any]] = [Json(), Msgpack(), Pydantic(dict), SignedPickle([KEY], purpose="t")]

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
msgpack_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary()
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(fold=0)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Pizza(BaseModel):
    pizza_id: UUID = Field(alias="pizzaId")
    price: Decimal
    sizes: frozenset[Size] = frozenset()
    at: datetime


@dataclass
class Point:
    x: int
    label: str | None = None


def pizza() -> Pizza:
    return Pizza(pizzaId=uuid4(), price=Decimal("8.90"), sizes=frozenset(Size), at=datetime.now(UTC))


class Explosive:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.proves("R8")
@settings(max_examples=60, deadline=None)
@given(json_values, msgpack_values)
def test_what_is_written_comes_back_equal_and_of_the_same_types(text: Any, packed: Any) -> None:
    for serialiser, value in ((ALL[0], text), (ALL[1], packed), (ALL[3], packed)):
        again = serialiser.loads(serialiser.dumps(value))
        assert again == value
        assert repr(again) == repr(value)  # 1 and 1.0 and True are equal, too


@pytest.mark.proves("R8")
@pytest.mark.parametrize(
    "value",
    [(1, 2), {1: "a"}, {"a": {"b": (1,)}}, datetime.now(UTC), Decimal(1), Point(1), b"x", {1}, float("nan"),
     float("inf"), "\ud800", object()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_json_refuses_what_would_come_back_as_something_else(value: Any) -> None:
    with pytest.raises(TypeError):
        Json().dumps(value)


@pytest.mark.proves("R8")
@pytest.mark.parametrize(
    "value", [(1, 2), {1}, Point(1), Decimal(1), object()], ids=lambda value: type(value).__name__
)
def test_msgpack_refuses_what_would_come_back_as_something_else(value: Any) -> None:
    with pytest.raises(TypeError):
        Msgpack().dumps([value])


@pytest.mark.proves("R8")
def test_pydantic_takes_any_type_and_refuses_values_of_another() -> None:
    one = pizza()
    cases: list[tuple[Any, Any]] = [
        (Pizza, one),
        (list[Pizza], [one, one]),
        (Point, Point(3)),
        (Point | Pizza, one),
        (dict[int, Decimal], {1: Decimal("2.30")}),
        (bytes, b"\xff\x00"),
        (float, float("inf")),
        (Pizza | None, None),
    ]
    for type_, value in cases:
        serialiser = Pydantic[Any](type_)
        assert serialiser.loads(serialiser.dumps(value)) == value
        with pytest.raises(TypeError):
            serialiser.dumps(object())
        with pytest.raises(UnreadableValue):
            serialiser.loads(b'{"of": "another layout"}')
    for type_, value in ((Pizza, {"name": 1}), (Point, one), (int, "1"), (dict[int, Decimal], {"a": "b"})):
        with pytest.raises(TypeError, match="cannot be written"):
            Pydantic[Any](type_).dumps(value)
    assert isinstance(serialiser_for(Pizza), Pydantic)
    assert isinstance(serialiser_for(None), Json)


@pytest.mark.proves("R8", "C7")
@pytest.mark.parametrize(
    "serialiser",
    [Json(), Msgpack(), Pydantic(Pizza), SignedPickle([KEY], purpose="t")],
    ids=lambda one: type(one).__name__,
)
def test_truncated_and_foreign_bytes_are_unreadable(serialiser: Serialiser[Any]) -> None:
    value: Any = pizza() if isinstance(serialiser, Pydantic) else {"name": "Margherita", "sizes": [1, 2.5]}
    data = serialiser.dumps(value)
    for length in range(len(data)):
        with pytest.raises(UnreadableValue):
            serialiser.loads(data[:length])
    deep = b"[" * 100_000 + b"]" * 100_000
    for foreign in (data + b"x", b"\x00" + data, b"\xc1", b"\xff" * 64, deep, b"NaN", pickle.dumps([value])):
        with pytest.raises(UnreadableValue):
            serialiser.loads(foreign)


@pytest.mark.proves("R8", "C7")
def test_what_no_key_of_ours_signed_is_never_unpickled(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    payload = pickle.dumps(Explosive(bait))
    ours = SignedPickle([KEY, OLD_KEY], purpose="profiles")
    for data in (
        payload,
        bytes(32) + payload,
        ours.dumps("harmless")[:32] + payload,  # a real signature, of something else
        hmac.digest(KEY, payload, "sha256") + payload,  # the key, but not for this purpose
        SignedPickle([FOREIGN_KEY], purpose="profiles").dumps(Explosive(bait)),
        SignedPickle([KEY], purpose="orders").dumps(Explosive(bait)),
    ):
        with pytest.raises(UnreadableValue, match="Not signed"):
            ours.loads(data)
    assert not bait.exists()
    ours.loads(ours.dumps(Explosive(bait)))
    assert bait.exists(), "the bait is harmless, so the test proves nothing"


@pytest.mark.proves("R8")
def test_keys_rotate_and_short_ones_are_refused() -> None:
    old, both, new = (SignedPickle(keys, purpose="t") for keys in ([OLD_KEY], [KEY, OLD_KEY], [KEY]))
    value = pizza()
    assert both.loads(old.dumps(value)) == value == new.loads(both.dumps(value))
    with pytest.raises(UnreadableValue):
        new.loads(old.dumps(value))
    for keys in ([], [b"k" * 15], [KEY, b""], KEY):
        with pytest.raises(ValueError, match="key"):
            SignedPickle(keys, purpose="t")  # type: ignore[arg-type]
    assert KEY.decode() not in repr(new)


@pytest.mark.proves("R8")
def test_an_allow_list_bounds_what_even_a_signed_value_may_be(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    strict = SignedPickle([KEY], purpose="t", allow=[Point, Decimal])
    value = {"points": [Point(1), Point(2, "b")], "price": Decimal("1.20"), "set": {1, 2}}
    assert strict.loads(strict.dumps(value)) == value
    with pytest.raises(TypeError, match="not allowed"):
        strict.dumps(Explosive(bait))
    with pytest.raises(UnreadableValue, match="Signed"):
        strict.loads(SignedPickle([KEY], purpose="t").dumps(Explosive(bait)))
    assert not bait.exists()


@pytest.mark.proves("R8")
def test_a_signed_value_of_a_class_that_is_gone_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    serialiser = SignedPickle([KEY], purpose="t")
    data = serialiser.dumps(Point(1))
    monkeypatch.delattr(sys.modules[__name__], "Point")
    with pytest.raises(UnreadableValue):
        serialiser.loads(data)


@pytest.mark.proves("R8")
async def test_another_process_reads_what_this_one_wrote(
    connections: RedisConnections, redis_url: str, key_prefix: str
) -> None:
    value = {"name": "Margherita", "sizes": [1, 2.5, None], "more": {"á": True}}
    for number, serialiser in enumerate(ALL):
        await connections.execute("SET", f"{key_prefix}:{number}", serialiser.dumps(value), "PX", 60_000)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("reader_process.py"), redis_url, key_prefix, KEY.hex()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [repr(value)] * 4, done.stderr


def test_without_the_extra_msgpack_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ImportError, match=r"pizzeria-rediscore\[msgpack\]"):
        Msgpack()
