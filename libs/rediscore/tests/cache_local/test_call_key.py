"""Keys made from calls: one for each set of arguments, the same in every process."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from rediscore.cache.call_key import Template, binder, from_arguments


class Size(StrEnum):
    LARGE = "l"


class Rank(Enum):
    FIRST = 1


class User(BaseModel):
    id: int
    name: str = "Ada"


@dataclass(frozen=True)
class Place:
    town: str
    number: int = 1


class Town(str):
    __slots__ = ()


texts = st.text("a1',=:%()[]{}<>", max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | texts | st.binary(max_size=2)
    | st.decimals() | st.uuids() | st.dates() | st.datetimes() | st.timedeltas()
    | st.sampled_from([Size.LARGE, Rank.FIRST])
    | st.builds(User, id=st.integers(0, 9), name=st.sampled_from("ab"))
    | st.builds(Place, town=st.sampled_from("ab"), number=st.integers(0, 9))
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
        | st.frozensets(texts | st.integers() | st.dates(), max_size=3)
    ),
    max_leaves=8,
)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@pytest.mark.proves("R4")
@settings(max_examples=200, deadline=None)
@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_keys_of_arguments_are_equal_only_for_equal_arguments(one: list[Any], other: list[Any]) -> None:
    key = from_arguments("f", one)
    assert key == from_arguments("f", list(one))
    assert len(key) <= 200
    assert key.isprintable()
    assert (key != from_arguments("f", other)) or one == other or repr(one) == repr(other)  # NaN
    assert key != from_arguments("g", one)


@pytest.mark.proves("R4")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("a%3Aé ", max_size=3), min_size=3, max_size=4))
def test_texts_in_a_template_never_run_into_each_other(parts: list[str]) -> None:
    def f(a: str, b: str) -> None: ...

    template = Template("x:{a}:{b}", signature(f), None)
    calls = [(":".join(parts[:at]), ":".join(parts[at:])) for at in range(1, len(parts))]
    assert len({template(call) for call in calls}) == len(calls), "all of them have the same text"
    again = [(call[0].replace(":", "%3A"), call[1].replace(":", "%3A")) for call in calls]
    assert len({template(call) for call in {*calls, *again}}) == len({*calls, *again})


@pytest.mark.proves("R4")
def test_keys_do_not_depend_on_the_process() -> None:
    arguments = [1, "a:b", {"x", "y", "z"}, {"b": 1, "a": [None, True]}, Decimal("1.20"), UUID(int=7)]
    program = (
        "from decimal import Decimal; from uuid import UUID\n"
        "from rediscore.cache.call_key import from_arguments\n"
        f"print(from_arguments('f', {arguments!r}))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert keys == {from_arguments("f", arguments)}


@pytest.mark.proves("R4")
def test_spelling_of_each_type() -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    for value, spelled in (
        (None, "none"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        ("1", "'1'"),
        ("a,b'", "'a%2Cb%27'"),
        (b"\x01", "b'01'"),
        ((1, [2]), "(1,[2])"),
        ({"b": 1, "a": 2}, "{'a'=2,'b'=1}"),
        ({2, 1}, "<1,2>"),
        (moment, "t'2026-01-02T03%3A04%3A00%2B00%3A00'"),
        (date(2026, 1, 2), "date'2026-01-02'"),
        (timedelta(milliseconds=1), "for'1000'"),
        (Size.LARGE, f"{__name__}.Size.LARGE"),
        (User(id=1), f"{__name__}.User{{'id'=1,'name'='Ada'}}"),
        (Town("Rome"), f"{__name__}.Town:'Rome'"),
    ):
        assert from_arguments("f", [value]) == f"@f({spelled})"
    assert from_arguments("f", ["x" * 300]).startswith("@f(#")
    for refused in (object(), [object()], len, iter([])):
        with pytest.raises(TypeError, match="template"):
            from_arguments("f", [refused])


@pytest.mark.proves("R4")
def test_texts_of_each_type_in_a_template() -> None:
    def f(value: Any) -> None: ...

    assert Template("{{x}}:{value}{{y}}z", signature(f), None)((1,)) == "{x}:1{y}z"
    template = Template("x:{value}", signature(f), None)
    for value, text in (
        ("a:b c", "a%3Ab%20c"),
        ("münchen-1.2@x", "münchen-1.2@x"),
        ("", ""),
        (7, "7"),
        (None, "%None"),
        (True, "%True"),
        (Decimal("8.90"), "8.90"),
        (UUID(int=1), str(UUID(int=1))),
        (Size.LARGE, "l"),
        (Rank.FIRST, "1"),
        (Town("Rome"), "Rome"),
        (date(2026, 1, 2), "2026-01-02"),
    ):
        assert template((value,)) == f"x:{text}"
    for refused in (object(), [1], User(id=1), b"x"):
        with pytest.raises(TypeError, match="stable text"):
            template((refused,))


@pytest.mark.proves("R4")
@pytest.mark.parametrize(
    "text",
    ["x:{c}", "x:{}", "x:{0}", "x:{a!r}", "x:{a:>3}", "x:{a[0]}", "x:{a.}", "x:{.a}", "x:{a}{b}", "x:{a}-{b}",
     "x:{a}%{b}", "x:{rest}", "x:{self}", "x:{a", "x:{a()}"],
)  # fmt: skip
def test_a_template_that_cannot_work_is_refused_when_it_is_made(text: str) -> None:
    def f(self: Any, a: int, b: int, *rest: int) -> None: ...

    with pytest.raises(ValueError, match=r"."):
        Template(text, signature(f), "self")


@pytest.mark.proves("R4")
def test_templates_that_may_give_the_same_key_are_recognised() -> None:
    def f(a: int, b: int) -> None: ...

    def meet(one: str, other: str) -> bool:
        first, second = (Template(text, signature(f), None) for text in (one, other))
        assert first.may_equal(second) == second.may_equal(first)
        return first.may_equal(second)

    for one, other in [
        ("x:{a}", "x:{b}"),
        ("x:{a}", "x:y"),
        ("x:{a}", "x:"),
        ("x:{a}:{b}", "x:{b}:7"),
        ("x-{a}", "{b}"),
        ("x{a}y", "xy"),
        ("x", "x"),
    ]:
        assert meet(one, other)
    for one, other in [
        ("x:{a}", "y:{a}"),
        ("x:{a}", "x:{a}:{b}"),
        ("x", "y"),
        ("x:{a}", "x"),
        ("x{a}y", "xz"),
    ]:
        assert not meet(one, other)


@pytest.mark.proves("R4")
def test_the_compiled_binding_is_that_of_the_signature() -> None:
    marker = object()

    def f(
        a: Any, b: Any = marker, /, c: Any = "def", *rest: Any, d: Any, e: Any = None, **more: Any
    ) -> None: ...

    bind = binder(signature(f))
    for args, kwargs in (
        ((1,), {"d": 2}),
        ((1, 2, 3, 4, 5), {"d": 6, "z": 7}),
        ((1,), {"c": 2, "d": 3, "e": 4}),
    ):
        bound = signature(f).bind(*args, **kwargs)
        bound.apply_defaults()
        assert bind(*args, **kwargs) == tuple(bound.arguments.values())
    assert bind(1, a=1, d=2, b=3)[-1] == {"a": 1, "b": 3}, "positional names are free for keywords"
    for wrong in ({"d": 1}, {"a": 1, "d": 1}):
        with pytest.raises(TypeError):
            bind(**wrong)
