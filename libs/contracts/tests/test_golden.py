"""Golden entries: what lies on the streams today must stay readable, and fit the committed schema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pizzeria_contracts.events import EVENT_TYPES, OrderPlaced, payload_model, type_of
from pizzeria_contracts.schemas import golden_entry, schema_text, stale_schemas
from pizzeria_contracts.streams import STREAM_TYPES, stream_of
from pydantic import ValidationError
from rediscore.streams.event import CloudEvent, decode_entry, encode_entry

all_types = pytest.mark.parametrize("event_type", sorted(EVENT_TYPES.values()))


@all_types
def test_golden_entry_decodes_to_its_payload_and_back(event_type: str) -> None:
    body = golden_entry(event_type)
    event = decode_entry({b"__data__": body})
    payload = payload_model(event.type).read(event.data)
    assert type_of(payload) == event_type
    again = CloudEvent[Any](**{**event.__dict__, "data": payload})
    assert json.loads(encode_entry(again)[b"__data__"]) == json.loads(body)


@all_types
def test_golden_data_fits_the_committed_schema(event_type: str) -> None:
    data = json.loads(golden_entry(event_type))["data"]
    validator = Draft202012Validator(json.loads(schema_text(event_type)))
    validator.check_schema(validator.schema)
    validator.validate(data)
    assert not validator.is_valid({**data, "unheard-of": 1}), "producers promise these fields and no other"


def test_committed_schemas_are_those_of_the_models() -> None:
    assert stale_schemas() == []


def test_every_type_travels_on_exactly_one_stream() -> None:
    travelling = [event_type for types in STREAM_TYPES.values() for event_type in types]
    assert sorted(travelling) == sorted(EVENT_TYPES.values())
    assert all(type_of(model) in STREAM_TYPES[stream_of(model)] for model in EVENT_TYPES)


def test_consumers_ignore_fields_that_a_newer_producer_adds_and_producers_may_not() -> None:
    data = json.loads(golden_entry(type_of(OrderPlaced)))["data"]
    data["surprise"] = True
    data["items"][0]["surprise"] = True
    assert OrderPlaced.read(data).items[0].pizza_id == "margherita"
    with pytest.raises(ValidationError):
        OrderPlaced.model_validate(data)


def test_an_unknown_type_is_named_in_the_error() -> None:
    with pytest.raises(LookupError, match=r"pizzeria\.order\.eaten\.v1"):
        payload_model("pizzeria.order.eaten.v1")


def test_no_personal_data_in_payloads() -> None:
    forbidden = {"name", "phone", "email", "address", "delivery_address", "notes", "token"}
    for model, event_type in EVENT_TYPES.items():
        if event_type.startswith("pizzeria.menu."):
            continue  # the name of a pizza is nobody's secret
        assert not forbidden & model.model_fields.keys(), event_type
