"""Whether a change of a payload breaks somebody: who reads what was written before, or what is written now.

Consumers ignore fields that they do not know, so a field may come as long as nobody has to have it. All else
breaks one side: a field that goes is missed by today's consumers, one that must be there is missing in
yesterday's events, a type or a bound that changes refuses the values of one side to the other. Such a change
is a new version of the type, made from the one before by ``Payload.upcast``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pizzeria_contracts.payloads import Payload

__all__ = ["breaking", "reading_schema"]

Schema = Mapping[str, Any]

_SAID_ONLY = frozenset({"title", "description", "default", "examples"})
"""What a schema says without deciding anything."""


def reading_schema(payload: type[Payload]) -> dict[str, Any]:
    """Return the JSON Schema of what a consumer of this payload accepts."""
    return payload.model_json_schema(mode="validation")


def breaking(released: Schema, now: Schema) -> list[str]:
    """Return a sentence for each change from one reading schema to the other that breaks a reader."""
    found = list(_of_object("", released, now))
    before, after = released.get("$defs", {}), now.get("$defs", {})
    for name in sorted(before.keys() & after.keys()):
        found += _of_object(f"{name}.", before[name], after[name])
    return found


def _of_object(where: str, released: Schema, now: Schema) -> Iterator[str]:
    before, after = released.get("properties", {}), now.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{where}{name} is gone"
    for name in sorted(set(now.get("required", ())) - set(released.get("required", ()))):
        yield f"{where}{name} must be there now"
    for name in sorted(before.keys() & after.keys()):
        if _decisive(before[name]) != _decisive(after[name]):
            yield f"{where}{name} is another type, or has other bounds"
    if not before and not after and _decisive(released) != _decisive(now):
        yield f"{where.rstrip('.') or 'it'} is another type, or has other values"


def _decisive(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {key: _decisive(value) for key, value in schema.items() if key not in _SAID_ONLY}
    if isinstance(schema, list):
        return [_decisive(value) for value in schema]
    return schema
