"""The envelope: what is written can be read, and what cannot be read says why without quoting it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from faststream.redis.parser import BinaryMessageFormatV1
from pydantic import BaseModel
from rediscore.streams import CloudEvent, MalformedEntry, decode_entry, encode_entry


class Placed(BaseModel):
    total: str
    note: str | None = None


def placed(**attributes: Any) -> CloudEvent[Placed]:
    return CloudEvent[Placed](
        id="e-1",
        source="order",
        type="pizzeria.order.placed.v1",
        subject="o-1",
        time=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
        data=Placed(total="12.99"),
        **attributes,
    )


@pytest.mark.proves("R18")
def test_what_is_written_can_be_read() -> None:
    fields = encode_entry(placed(sequence=1, position=7, traceparent="00-a-b-01"))
    assert list(fields) == [b"__data__"]
    event = decode_entry(fields)
    assert (event.id, event.subject, event.sequence, event.position) == ("e-1", "o-1", 1, 7)
    assert event.data == {"total": "12.99", "note": None}
    assert event.time == datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_attributes_without_value_are_left_out_and_data_is_kept_whole() -> None:
    written = json.loads(encode_entry(placed())[b"__data__"])
    assert "position" not in written
    assert written["data"] == {"total": "12.99", "note": None}


@pytest.mark.proves("R18")
async def test_an_entry_that_faststream_wrote_can_be_read() -> None:
    body = await BinaryMessageFormatV1.encode(
        message=json.loads(placed().to_json()), reply_to=None, headers={"h": "v"}, correlation_id="c"
    )
    assert decode_entry({b"__data__": body}).id == "e-1"


@pytest.mark.proves("R18")
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({b"other": b"x"}, "no field __data__"),
        ({b"__data__": b""}, "Not a CloudEvent"),
        ({b"__data__": b"\xff\xfe"}, "Not a CloudEvent"),
        ({b"__data__": b'"secret"'}, "Not a CloudEvent"),
        ({b"__data__": b'{"id": "secret"}'}, "subject"),
        ({b"__data__": b"\x89BIN\r\n\x1a\n\x00\x01"}, "cut off"),
        ({b"__data__": b"\x89BIN\r\n\x1a\n\x00\x01\x00\x00\x00\x12\x00\x00\xff\xff"}, "Not a CloudEvent"),
    ],
)
def test_what_cannot_be_read_says_why(fields: dict[bytes, bytes], says: str) -> None:
    with pytest.raises(MalformedEntry, match=says) as caught:
        decode_entry(fields)
    assert "secret" not in str(caught.value)


def test_a_time_without_zone_is_refused() -> None:
    written = json.loads(placed().to_json()) | {"time": "2026-11-21T12:00:00"}
    with pytest.raises(MalformedEntry, match="time"):
        decode_entry({b"__data__": json.dumps(written).encode()})
