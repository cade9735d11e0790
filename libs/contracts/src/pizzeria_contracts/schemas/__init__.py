"""The committed JSON Schemas and golden entries, one of each per event type.

``schemas/`` has what producers promise today, ``released/`` what consumers accepted when a type was released:
what is written today must still fit that (`compatibility`).
"""

import json
from importlib.resources import files
from typing import Any

from pizzeria_contracts.compatibility import breaking, reading_schema
from pizzeria_contracts.events import EVENT_TYPES, payload_model

__all__ = ["broken", "golden_entry", "release", "schema_text", "stale_schemas", "unreleased", "write_schemas"]

_FOLDER = files("pizzeria_contracts") / "schemas"
_GOLDEN = files("pizzeria_contracts") / "golden"
_RELEASED = files("pizzeria_contracts") / "released"


def schema_text(event_type: str) -> str:
    """Return the JSON Schema of the ``data`` of an event type, as it should be committed."""
    model = next(model for model, name in EVENT_TYPES.items() if name == event_type)
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{event_type}.json",
        **model.model_json_schema(mode="serialization"),
    }
    # What producers promise; consumers ignore fields that they do not know.
    return _text(schema)


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


def broken() -> list[str]:
    """Return a sentence for each change since a type was released that breaks one of its readers."""
    found = []
    for path in sorted(_RELEASED.iterdir(), key=str):
        event_type = path.name.removesuffix(".json")
        if event_type not in EVENT_TYPES.values():
            found.append(f"{event_type} is gone, and events of it may still come")
            continue
        now = reading_schema(payload_model(event_type))
        found += [
            f"{event_type}: {sentence}" for sentence in breaking(json.loads(path.read_text("utf-8")), now)
        ]
    return found


def unreleased() -> list[str]:
    """Return the event types that no reader has been promised yet."""
    return [name for name in EVENT_TYPES.values() if not (_RELEASED / f"{name}.json").is_file()]


def release() -> None:
    """Promise what is accepted today. Raises: ValueError when that breaks what was promised before."""
    if sentences := broken():
        raise ValueError("\n".join(sentences))
    for payload, event_type in EVENT_TYPES.items():
        path: Any = _RELEASED / f"{event_type}.json"
        path.write_text(_text(reading_schema(payload)), encoding="utf-8")


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _committed(event_type: str) -> str | None:
    path = _path(event_type)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _path(event_type: str) -> Any:
    return _FOLDER / f"{event_type}.json"
