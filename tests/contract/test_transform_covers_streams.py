"""What dbt reads of the tap: each stream is a source with a staging model.

Rules of the models themselves are in transform/dbt-bouncer.yml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_sentry.streams import STREAMS

TRANSFORM = Path(__file__).parents[2] / "transform"
STAGING = TRANSFORM / "models" / "staging" / "sentry"

STREAM_SCHEMAS: dict[str, dict[str, Any]] = {
    str(vars(stream)["name"]): stream.schema for stream in STREAMS
}

# An organization may have none of them, and dbt takes an empty table for infinitely old.
MAY_BE_EMPTY = {"detectors", "monitors", "workflows"}
# dbt source freshness fails on a table that is not there.
OFF_BY_DEFAULT = {vars(stream)["name"] for stream in STREAMS if not stream.selected_by_default}


def source() -> dict[str, Any]:
    document = yaml.safe_load((STAGING / "_sentry__sources.yml").read_text(encoding="utf-8"))
    return dict(document["sources"][0])


TABLES: dict[str, dict[str, Any]] = {table["name"]: table for table in source()["tables"]}


def loaded_type(schema: dict[str, Any]) -> str:
    """The column type that target-duckdb chooses."""
    if schema.get("format") == "date-time":
        return "timestamp"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return {
        "string": "varchar",
        "integer": "bigint",
        "number": "double",
        "boolean": "boolean",
        "object": "json",
        "array": "json",
    }[kinds[0]]


class TestStreams:
    def test_are_sources(self) -> None:
        assert TABLES.keys() == STREAM_SCHEMAS.keys()

    @pytest.mark.parametrize("stream", sorted(STREAM_SCHEMAS))
    def test_have_freshness_where_rows_are_certain(self, stream: str) -> None:
        config = {**source()["config"], **TABLES[stream].get("config", {})}
        assert config["loaded_at_field"] == "_sdc_extracted_at"
        if stream in OFF_BY_DEFAULT | MAY_BE_EMPTY:
            assert config["freshness"] is None
        else:
            assert {"warn_after", "error_after"} <= config["freshness"].keys()

    @pytest.mark.parametrize("stream", sorted(STREAM_SCHEMAS))
    def test_have_the_declared_columns_and_types(self, stream: str) -> None:
        sent = {
            name.lower(): loaded_type(schema)
            for name, schema in STREAM_SCHEMAS[stream]["properties"].items()
        }
        declared = {column["name"]: column["data_type"] for column in TABLES[stream]["columns"]}
        assert declared == {name: sent.get(name) for name in declared}

    @pytest.mark.parametrize("stream", sorted(STREAM_SCHEMAS))
    def test_have_a_staging_model(self, stream: str) -> None:
        sql = (STAGING / f"stg_sentry__{stream}.sql").read_text(encoding="utf-8")
        assert f'source_rows("{stream}"' in sql
