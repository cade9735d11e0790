"""The committed JSON Schemas and golden entries, one of each per event type."""

import json
from importlib.resources import files
from typing import Any

from pizzeria_contracts.events import EVENT_TYPES

__all__ = ["golden_entry", "schema_text", "stale_schemas", "write_schemas"]

_FOLDER = files("pizzeria_contracts") / "schemas"
_GOLDEN = files("pizzeria_contracts") / "golden"


def schema_text(event_type: str) -> str:
    """Return the JSON Schema of the ``data`` of an event type, as it should be committed."""
    model = next(model for model, name in EVENT_TYPES.items() if name == event_type)
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{event_type}.json",
        **model.model_json_schema(mode="serialization"),
    }
    # What producers promise; consumers ignore fields that they do not know.
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def golden_entry(event_type: str) -> bytes:
    """Return an entry of this type as it lies in the field ``__data__`` of a stream."""
    return (_GOLDEN / f"{event_type}.json").read_bytes()


def stale_schemas() -> list[str]:
    """Return the event types whose committed schema is missing or not what the model says."""
    return [
        event_type for event_type in EVENT_TYPES.values() if _committed(event_type) != schema_text(event_type)
    ]


def write_schemas() -> None:
    """Write all schemas beside this module."""
    for event_type in EVENT_TYPES.values():
        _path(event_type).write_text(schema_text(event_type), encoding="utf-8")


def _committed(event_type: str) -> str | None:
    path = _path(event_type)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _path(event_type: str) -> Any:
    return _FOLDER / f"{event_type}.json"
