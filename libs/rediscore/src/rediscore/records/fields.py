"""Between a model and the fields of a Redis hash: one for one, each holds its value as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic_core import to_json
from typing_extensions import TypedDict

from rediscore.serialisers import UnreadableValue

T = TypeVar("T")


class Fields(Generic[T]):
    """Reads and writes all fields of a pydantic model or dataclass, or some of them.

    A field that is not there gets the default of the model, and one that the model does not know (any
    more) is left alone, so a model may gain and lose fields while records live.

    Raises: TypeError for any other type.
    """

    def __init__(self, model: type[T]) -> None:
        if isinstance(model, type) and issubclass(model, BaseModel):
            self.names = tuple(model.model_fields)
            self._some: TypeAdapter[Any] = TypeAdapter(_partial_model(model))
            rules = model.__pydantic_decorators__
            self._refuses_parts = bool(rules.model_validators or rules.root_validators)
        elif isinstance(model, type) and dataclasses.is_dataclass(model):
            self.names = tuple(field.name for field in dataclasses.fields(model) if field.init)
            hints = get_type_hints(model, include_extras=True)
            partial = TypedDict("Partial", {name: hints[name] for name in self.names}, total=False)  # type: ignore[misc]
            self._some = TypeAdapter(partial)
            self._refuses_parts = hasattr(model, "__post_init__")
        else:
            raise TypeError(f"A record is a pydantic model or a dataclass, not {model!r}.")
        self._model, self._name = model, model.__name__
        self._all: TypeAdapter[T] = TypeAdapter(model)
        self._begins = [(name.encode(), b'"%s":' % name.encode()) for name in self.names]

    def dump(self, value: T) -> list[str | bytes]:
        """Names and values in turn, as HSET takes them.

        Raises: TypeError when it is not of the model.
        """
        if not isinstance(value, self._model):
            raise TypeError(f"This {type(value).__name__} is no {self._name}.")
        try:
            dumped = self._all.dump_python(
                value, mode="json", by_alias=False, round_trip=True, warnings="error"
            )
        except ValueError as error:
            raise TypeError(f"This {type(value).__name__} cannot be written as {self._name}.") from error
        return self._pairs(dumped)

    def dump_some(self, values: Mapping[str, Any]) -> list[str | bytes]:
        """As `dump`, for these fields alone, checked against their types (and their field validators).

        Raises: ValueError for a field that the model does not have, or a value that it does not take
            (pydantic's ValidationError); TypeError when the model has rules across fields
            (a model validator, `__post_init__`), which a part cannot be checked against.
        """
        if unknown := sorted(values.keys() - set(self.names)):
            raise ValueError(f"{self._name} has no field {', '.join(unknown)}.")
        if self._refuses_parts:
            raise TypeError(
                f"{self._name} has rules across fields: read the record, change it and write it whole, "
                "with its version as expected_version."
            )
        checked = self._some.validate_python(dict(values), by_alias=False, by_name=True)
        dumped = self._some.dump_python(checked, mode="json", by_alias=False, exclude_unset=True)
        return self._pairs(dumped)

    def load(self, stored: Mapping[bytes, bytes]) -> T:
        """The value of a hash.

        Raises: UnreadableValue.
        """
        parts = [begin + stored[name] for name, begin in self._begins if name in stored]
        try:
            return self._all.validate_json(b"{%s}" % b",".join(parts), by_alias=False, by_name=True)
        except ValueError:
            # `from None`: pydantic's own words quote the value.
            raise UnreadableValue(f"No {self._name}.") from None

    def load_one(self, name: str, stored: bytes) -> Any:
        """The value of one field.

        Raises: UnreadableValue.
        """
        try:
            part = self._some.validate_json(
                b'{"%s":%s}' % (name.encode(), stored), by_alias=False, by_name=True
            )
        except ValueError:
            raise UnreadableValue(f"No {name} of a {self._name}.") from None
        return part[name] if isinstance(part, dict) else getattr(part, name)

    def _pairs(self, dumped: Mapping[str, Any]) -> list[str | bytes]:
        pairs: list[str | bytes] = []
        for name in self.names:
            if name in dumped:
                pairs += (name, to_json(dumped[name]))
        return pairs


def _partial_model(model: type[BaseModel]) -> type[BaseModel]:
    """The same model with every field optional; field validators run for what is given."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        for metadata in field.metadata:
            annotation = Annotated[annotation, metadata]
        fields[name] = (annotation, Field(default=None, validate_default=False))
    return create_model(f"Partial{model.__name__}", __base__=model, **fields)
