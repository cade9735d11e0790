"""How values lie in Redis."""

from typing import Any, TypeVar, overload

from rediscore.serialisers.json_text import Json
from rediscore.serialisers.message_pack import Msgpack
from rediscore.serialisers.protocol import Serialiser, UnreadableValue
from rediscore.serialisers.signed_pickle import SignedPickle
from rediscore.serialisers.typed import Pydantic

T = TypeVar("T")

__all__ = ["Json", "Msgpack", "Pydantic", "Serialiser", "SignedPickle", "UnreadableValue", "serialiser_for"]


@overload
def serialiser_for(model: None) -> Serialiser[Any]: ...


@overload
def serialiser_for(model: type[T]) -> Serialiser[T]: ...


def serialiser_for(model: type[Any] | None) -> Serialiser[Any]:
    """The one that is taken when none is given: `Pydantic(model)`, or `Json()` without a type."""
    return Json() if model is None else Pydantic(model)
