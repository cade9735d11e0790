"""The envelope of every event: CloudEvents 1.0 in JSON, and its place in a stream entry."""

import struct
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from rediscore.streams.errors import MalformedEntry

DataT = TypeVar("DataT")

DATA_FIELD = b"__data__"
_FASTSTREAM_MAGIC = b"\x89BIN\r\n\x1a\n"
_EXTENSIONS = ("traceparent", "correlationid", "causationid", "sequence", "position")


class CloudEvent(BaseModel, Generic[DataT]):
    """Something that happened, as its owner tells it. Immutable; unknown attributes are ignored.

    `sequence` counts the events of one subject from 1, `position` all events of the source; both
    without gaps. `id` is the same on every delivery: consumers know duplicates by it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str = Field(min_length=1)
    time: AwareDatetime
    datacontenttype: str = "application/json"
    traceparent: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    sequence: int | None = None
    position: int | None = None
    data: DataT

    def to_json(self) -> str:
        """As CloudEvents JSON; extension attributes without a value are left out, as the format asks."""
        return self.model_dump_json(exclude={name for name in _EXTENSIONS if getattr(self, name) is None})


RawEvent: TypeAlias = CloudEvent[dict[str, Any]]
"""An event whose data nobody has validated yet."""


def event_model(payload: Any) -> type[CloudEvent[Any]]:
    """`CloudEvent[payload]` for a payload type that is known at run time only."""
    generic: Any = CloudEvent
    model: type[CloudEvent[Any]] = generic[payload]
    return model


def encode_entry(event: CloudEvent[Any]) -> dict[bytes, bytes]:
    """The fields of a stream entry that carries `event`."""
    return {DATA_FIELD: event.to_json().encode()}


def decode_entry(fields: Mapping[bytes, bytes]) -> RawEvent:
    """The event in a stream entry, written by `encode_entry` or as JSON by FastStream.

    Raises: MalformedEntry.
    """
    body = fields.get(DATA_FIELD)
    if body is None:
        raise MalformedEntry("The entry has no field __data__.")
    if body.startswith(_FASTSTREAM_MAGIC):
        body = _faststream_body(body)
    try:
        return RawEvent.model_validate_json(body)
    except ValidationError as error:
        raise MalformedEntry(f"Not a CloudEvent: {violations(error)}") from None


def violations(error: ValidationError) -> str:
    """What is wrong and where, without the values: those may be nobody's business."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found[:5])


def _faststream_body(envelope: bytes) -> bytes:
    # Magic, version (2 bytes), start of headers (4), start of body (4), headers, body.
    try:
        (start,) = struct.unpack_from(">I", envelope, len(_FASTSTREAM_MAGIC) + 6)
    except struct.error:
        raise MalformedEntry("The FastStream envelope is cut off.") from None
    return envelope[start:]
