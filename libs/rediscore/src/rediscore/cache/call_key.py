"""Names of cache entries made from the arguments of a call: the same in every process, never two for one."""

import dataclasses
import hashlib
import inspect
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from string import Formatter
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

_LONGEST: Final = 200
_SAFE: Final = re.compile(r"[\w.@-]*")
_UNSAFE: Final = re.compile(r"[^\w.@-]")
_FIELD: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_VARIABLE: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

Values = tuple[Any, ...]


def receiver_of(function: Callable[..., Any]) -> str | None:
    """Name of the parameter that is the object or the class, for what was defined in a class."""
    scope, _, _ = function.__qualname__.rpartition(".")
    first = next(iter(inspect.signature(function).parameters), "")
    return first if first in ("self", "cls") and scope and not scope.endswith("<locals>") else None


def binder(signature: inspect.Signature) -> Callable[..., Values]:
    """A function with that signature that gives the values of its parameters, defaults applied.

    Compiled, like the constructors of dataclasses: as quick as a call, where `Signature.bind` takes 5 µs.
    It raises the TypeError of a wrong call.
    """
    defaults: dict[str, Any] = {}
    plain = []
    for number, parameter in enumerate(signature.parameters.values()):
        if parameter.default is not parameter.empty:
            defaults[f"_default_{number}"] = parameter.default
            parameter = parameter.replace(default=_Name(f"_default_{number}"))  # noqa: PLW2901
        plain.append(parameter.replace(annotation=parameter.empty))
    head = str(inspect.Signature(plain))
    names = "".join(f"{name}, " for name in signature.parameters)
    # The source holds names of parameters, which are identifiers, and nothing else.
    exec(f"def bind{head}: return ({names})", defaults)  # noqa: S102
    bind: Callable[..., Values] = defaults["bind"]
    return bind


class _Name(str):
    """Its repr is the name itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Template:
    """Text with fields such as `{user.id}`, filled from the values of a call.

    What is filled in is escaped, and fields stand apart, so different values give different texts; the
    number 1 and the text "1" are the same, though.

    Raises: ValueError for fields that the signature does not know, that touch one another, or that ask
        for conversions or formats.
    """

    def __init__(self, text: str, signature: inspect.Signature, receiver: str | None) -> None:
        self.text = text
        self._head = ""
        # Each field: number of the parameter, attribute of it, the literal text behind it.
        self._fields: list[tuple[int, Callable[[Any], Any] | None, str]] = []
        parameters = list(signature.parameters)
        for literal, field, form, conversion in Formatter().parse(text):
            if self._fields:  # what "{{" splits comes in pieces
                number, attribute, before = self._fields.pop()
                self._fields.append((number, attribute, before + literal))
            else:
                self._head += literal
            if field is None:
                continue
            name, _, path = field.partition(".")
            if form or conversion or not _FIELD.fullmatch(field):
                raise ValueError(f"{{{field}}} of {text!r}: only names and attributes, such as {{user.id}}.")
            if name not in parameters or (name == receiver and not path):
                known = ", ".join(each for each in parameters if each != receiver) or "none"
                raise ValueError(f"{{{field}}} of {text!r} is no parameter; there are: {known}.")
            if signature.parameters[name].kind in _VARIABLE:
                raise ValueError(f"{{{field}}} of {text!r} stands for many values; name each.")
            if self._fields and all(map(_fills, self._fields[-1][2])):
                raise ValueError(f"Fields of {text!r} need a colon or the like between them.")
            self._fields.append((parameters.index(name), attrgetter(path) if path else None, ""))

    def __call__(self, values: Values) -> str:
        """Raises: TypeError for a value that has no stable text."""
        key = self._head
        for number, attribute, literal in self._fields:
            value = values[number]
            key += _text(value if attribute is None else attribute(value)) + literal
        return key

    def may_equal(self, other: "Template") -> bool:
        """Whether some values make both the same text."""
        return _meet(self._pattern(), other._pattern())

    def _pattern(self) -> list[str]:
        """Characters, and "" where a field stands."""
        pattern = list(self._head)
        for _, _, literal in self._fields:
            pattern += ["", *literal]
        return pattern


def _meet(one: list[str], other: list[str]) -> bool:
    """Whether two patterns have a text in common: all pairs of positions that can be reached."""
    reached = {(0, 0)}
    work = [(0, 0)]
    while work:
        i, j = work.pop()
        if i == len(one) and j == len(other):
            return True
        a = one[i] if i < len(one) else None
        b = other[j] if j < len(other) else None
        steps = []
        if a == "" or b == "":
            steps += [(i + 1, j)] * (a == "" or (a is not None and _fills(a)))
            steps += [(i, j + 1)] * (b == "" or (b is not None and _fills(b)))
        elif a is not None and a == b:
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in reached:
                reached.add(step)
                work.append(step)
    return False


def _fills(character: str) -> bool:
    """Whether what is filled in may contain it."""
    return character == "%" or bool(_SAFE.fullmatch(character))


def from_arguments(name: str, values: Iterable[Any]) -> str:
    """`@name(...)` with the values and their types in one spelling; a digest of it where it is long.

    Raises: TypeError for a value without a stable spelling.
    """
    key = f"@{name}({','.join([_spelling(value) for value in values])})"
    if len(key) <= _LONGEST:
        return key
    return f"@{name}(#{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()})"


def _escaped(text: str) -> str:
    return text if _UNSAFE.search(text) is None else _UNSAFE.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass"))


def _text(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _escaped(value)
    if kind is int:
        return str(value)
    if value is None or kind is bool:
        return f"%{value}"  # no text looks like that
    if isinstance(value, Enum):
        return _text(value.value)
    if isinstance(value, str):
        return _escaped(str.__str__(value))
    if isinstance(value, datetime | date | time):
        return _escaped(value.isoformat())
    if isinstance(value, int | float | Decimal | UUID):
        return _escaped(str(value))
    raise TypeError(
        f"A {_name(kind)} has no stable text for a cache key; name what identifies it, as in {{user.id}}."
    )


def _spelling(value: Any) -> str:
    kind = type(value)
    speller = _SPELLERS.get(kind)
    if speller is not None:
        return speller(value)
    if isinstance(value, Enum):
        return f"{_name(kind)}.{value.name}"
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in kind.model_fields} | (value.model_extra or {})
        return f"{_name(kind)}{_spelled_dict(fields)}"
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return f"{_name(kind)}{_spelled_dict(fields)}"
    for base in kind.__mro__[1:-1]:
        if (speller := _SPELLERS.get(base)) is not None:
            return f"{_name(kind)}:{speller(value)}"
    raise TypeError(
        f"A {_name(kind)} cannot be part of a cache key: it is written the same in no two processes. "
        'Give a template that names what identifies it, such as "profile:{user.id}".'
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _spelled_dict(value: dict[Any, Any]) -> str:
    items = sorted(f"{_spelling(key)}={_spelling(item)}" for key, item in value.items())
    return f"{{{','.join(items)}}}"


def _spelled_set(value: Iterable[Any]) -> str:
    return f"<{','.join(sorted(map(_spelling, value)))}>"


_SPELLERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda value: "none",
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: float.__repr__,
    str: lambda value: f"'{_escaped(value)}'",
    bytes: lambda value: f"b'{value.hex()}'",
    Decimal: lambda value: f"d'{_escaped(str(value))}'",
    UUID: lambda value: f"u'{value.hex}'",
    datetime: lambda value: f"t'{_escaped(value.isoformat())}'",
    date: lambda value: f"date'{value.isoformat()}'",
    time: lambda value: f"time'{_escaped(value.isoformat())}'",
    timedelta: lambda value: f"for'{value // timedelta(microseconds=1)}'",
    list: lambda value: f"[{','.join(map(_spelling, value))}]",
    tuple: lambda value: f"({','.join(map(_spelling, value))})",
    dict: _spelled_dict,
    set: _spelled_set,
    frozenset: _spelled_set,
}
