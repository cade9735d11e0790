"""Values of a declared type."""

from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from rediscore.serialisers.protocol import UnreadableValue

T = TypeVar("T")

# For types that cannot carry a configuration of their own; models and dataclasses can, and keep theirs.
_FAITHFUL = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


class Pydantic(Generic[T]):
    """Values of one type, checked in both directions, as JSON.

    Any type that a pydantic TypeAdapter takes: models, dataclasses, TypedDicts, unions, `list[Model]`,
    `dict[int, Decimal]`, `datetime`. Aliases are written, computed fields are not. A field with
    `exclude=True` is not written and comes back as its default; a union whose members look the same in
    JSON needs a discriminator.

    Args:
        type_: the type, e.g. `Profile` or `list[Profile]`.
    """

    def __init__(self, type_: type[T] | Any) -> None:
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(type_, config=_FAITHFUL)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            self._adapter = TypeAdapter(type_)
        self._name = getattr(type_, "__name__", str(type_))

    def dumps(self, value: T) -> bytes:
        """See `Serialiser`. Raises: TypeError when it is not of the type."""
        try:
            return self._adapter.dump_json(value, by_alias=True, round_trip=True, warnings="error")
        except PydanticSerializationError as error:
            raise TypeError(
                f"This {type(value).__name__} cannot be written as {self._name}: {error}"
            ) from error

    def loads(self, data: bytes) -> T:
        """See `Serialiser`. Raises: UnreadableValue, also for a value of an older layout of the type."""
        try:
            return self._adapter.validate_json(data)
        except ValueError as error:
            # Not the error's own words: they quote the value.
            raise UnreadableValue(f"No {self._name}.") from error
