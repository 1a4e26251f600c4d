"""The few types that Sentry's fields have, as nullable JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

JsonSchema = dict[str, Any]

STRING: JsonSchema = {"type": ["string", "null"]}
INTEGER: JsonSchema = {"type": ["integer", "null"], "maximum": 2**63 - 1}
NUMBER: JsonSchema = {"type": ["number", "null"]}
BOOLEAN: JsonSchema = {"type": ["boolean", "null"]}
DATETIME: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
OBJECT: JsonSchema = {"type": ["object", "null"], "additionalProperties": True}
ARRAY: JsonSchema = {"type": ["array", "null"], "items": {}}


def described(schema: JsonSchema, description: str) -> JsonSchema:
    """The same type with a sentence about what the tap puts there."""
    return {**schema, "description": description}


def record(properties: Mapping[str, JsonSchema], *, keys: Sequence[str]) -> JsonSchema:
    """The schema of one stream: `keys` are never null, every other field may be."""
    return {
        "type": "object",
        "properties": {
            name: {**schema, "type": schema["type"][:1]} if name in keys else schema
            for name, schema in properties.items()
        },
        "required": list(keys),
    }
