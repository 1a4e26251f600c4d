"""What dbt reads of the tap: each source a stream with freshness, a staging model, documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_sentry.streams import STREAMS

TRANSFORM = Path(__file__).parents[2] / "transform"
STAGING = TRANSFORM / "models" / "staging" / "sentry"
MODELS = sorted((TRANSFORM / "models").rglob("*.sql"))

STREAM_SCHEMAS: dict[str, dict[str, Any]] = {
    str(vars(stream)["name"]): stream.schema for stream in STREAMS
}


# Loaded, but not yet read by dbt. A stream that is neither here nor a source fails the tests.
NOT_STAGED = {
    "detectors",
    "environments",
    "issue_detail",
    "monitor_checkins",
    "monitors",
    "organization",
    "project_keys",
    "release_commits",
    "release_deploys",
    "release_health",
    "replays",
    "usage_outcomes",
    "user_feedback",
    "workflows",
}
STAGED = sorted(STREAM_SCHEMAS.keys() - NOT_STAGED)


def source() -> dict[str, Any]:
    document = yaml.safe_load((STAGING / "_sentry__sources.yml").read_text(encoding="utf-8"))
    return dict(document["sources"][0])


def documented(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    (entry,) = next(entries for key, entries in document.items() if key in {"models", "seeds"})
    return dict(entry)


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
    def test_are_sources_or_known_not_to_be(self) -> None:
        assert set(TABLES) == set(STAGED)
        assert STREAM_SCHEMAS.keys() >= NOT_STAGED

    def test_not_staged_have_no_model_either(self) -> None:
        models = {path.stem.removeprefix("stg_sentry__") for path in STAGING.glob("*.sql")}
        assert models == set(STAGED)

    def test_have_freshness(self) -> None:
        config = source()["config"]
        assert config["loaded_at_field"] == "_sdc_extracted_at"
        for table in TABLES.values():
            freshness = {**config, **table.get("config", {})}["freshness"]
            assert {"warn_after", "error_after"} <= set(freshness), table["name"]

    @pytest.mark.parametrize("stream", STAGED)
    def test_have_the_declared_columns_and_types(self, stream: str) -> None:
        sent = {
            name.lower(): loaded_type(schema)
            for name, schema in STREAM_SCHEMAS[stream]["properties"].items()
        }
        declared = {column["name"]: column["data_type"] for column in TABLES[stream]["columns"]}
        assert declared == {name: sent.get(name) for name in declared}

    @pytest.mark.parametrize("stream", STAGED)
    def test_have_a_staging_model_with_a_tested_key(self, stream: str) -> None:
        sql = (STAGING / f"stg_sentry__{stream}.sql").read_text(encoding="utf-8")
        assert f'source_rows("{stream}"' in sql
        model = documented(STAGING / f"stg_sentry__{stream}.yml")
        keys = [
            column["name"]
            for column in model["columns"]
            if {"unique", "not_null"} <= set(map(str, column.get("data_tests", ())))
        ]
        combinations = [
            test for test in model.get("data_tests", ()) if "unique_combination" in test
        ]
        assert keys or combinations


class TestModels:
    @pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
    def test_are_described_beside_themselves(self, model: Path) -> None:
        entry = documented(model.with_suffix(".yml"))
        assert entry["name"] == model.stem
        assert entry["description"].strip()

    def test_read_sources_in_staging_alone(self) -> None:
        for model in MODELS:
            if "staging" not in model.parts:
                sql = model.read_text(encoding="utf-8")
                assert "source(" not in sql, model.name
                assert "source_rows(" not in sql, model.name

    @pytest.mark.parametrize(
        "mart", [path for path in MODELS if "marts" in path.parts], ids=lambda path: path.stem
    )
    def test_of_marts_begin_with_their_question_and_name_a_time(self, mart: Path) -> None:
        sql = mart.read_text(encoding="utf-8")
        assert sql.startswith("-- ")
        assert '"time_column"' in sql
        columns = {
            column["name"]: column for column in documented(mart.with_suffix(".yml"))["columns"]
        }
        assert all("data_type" in column for column in columns.values())
