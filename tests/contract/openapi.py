"""What Sentry's own OpenAPI document says of its endpoints.

The document lies beside the repository, not in it: it is large and under its own licence. It
holds no `$ref`, so nothing is resolved here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"
DOCUMENT = SHARED / "sentry-openapi.json"
API = "/api/0"

needs_document = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"Sentry's OpenAPI document is not at {DOCUMENT}; CI has it"
)


class Field(NamedTuple):
    """`type` is JSON Schema's, `date-time`, or `any` where the document is silent."""

    type: str
    nullable: bool
    required: bool


@dataclass(frozen=True)
class Endpoint:
    """One GET operation. `path` begins below `/api/0`."""

    path: str
    operation: Mapping[str, Any]

    @property
    def body_schema(self) -> dict[str, Any]:
        """The schema of a good answer's body."""
        schema: dict[str, Any] = self._content["schema"]
        return schema

    @property
    def row_schema(self) -> dict[str, Any]:
        """The schema of one row: an item of a list, of `data`, or the body itself."""
        schema = self.body_schema
        data = schema.get("properties", {}).get("data", {})
        row: dict[str, Any] = schema.get("items") or data.get("items") or schema
        return row

    @property
    def fields(self) -> dict[str, Field]:
        """What a row holds, by name."""
        schema = self.row_schema
        required = schema.get("required", [])
        return {
            name: Field(_type(field), field.get("nullable", False), name in required)
            for name, field in schema.get("properties", {}).items()
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """Query parameters by name."""
        found = self.operation.get("parameters", ())
        return {entry["name"]: entry for entry in found if entry["in"] == "query"}

    @property
    def examples(self) -> list[Any]:
        """The bodies that the document gives as examples of a good answer."""
        content = self._content
        named = [example["value"] for example in content.get("examples", {}).values()]
        return [content["example"], *named] if "example" in content else named

    @property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.operation["responses"]["200"]["content"]["application/json"]
        return content


def endpoint(path: str) -> Endpoint:
    """The endpoint of a path with placeholders or with values, such as `/projects/a/b/events/`.

    Raises:
        LookupError: If the document has none.
    """
    wanted = re.sub(r"{\w+}", "x", path)
    fitting = [found for pattern, found in _endpoints().items() if re.fullmatch(pattern, wanted)]
    if not fitting:
        raise LookupError(f"the document knows no GET {path}")
    # Words win over placeholders: `/a/{b}/` before `/{a}/{b}/`.
    return min(fitting, key=lambda found: found.path.count("{"))


@cache
def _endpoints() -> dict[str, Endpoint]:
    paths = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    return {
        re.sub(r"{\w+}", "[^/]+", path.removeprefix(API)): Endpoint(
            path.removeprefix(API), operations["get"]
        )
        for path, operations in paths.items()
        if "get" in operations
    }


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "date-time"
    return str(schema.get("type", "any"))
