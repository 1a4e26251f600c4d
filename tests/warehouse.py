"""A DuckDB warehouse with raw rows of Sentry, and dbt at work in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb

from tap_sentry.streams import STREAMS
from tests.contract.test_transform_covers_streams import loaded_type
from tests.project import ROOT

Row = dict[str, Any]


@dataclass
class Warehouse:
    """A warehouse file and dbt at work in it; what dbt writes lies beside it."""

    dbt: Path
    file: Path
    variables: dict[str, str]

    def run(self, *arguments: str) -> dict[str, str]:
        """Run dbt, which must succeed. Returns the status of each node."""
        target = self.file.parent / "target"
        command = [str(self.dbt), "--warn-error-options", '{"error": ["Deprecations"]}', *arguments]
        command += ["--vars", json.dumps(self.variables)] if self.variables else []
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("DBT_")},
            "DBT_WAREHOUSE_PATH": str(self.file),
            "DBT_PROJECT_DIR": str(ROOT / "transform"),
            "DBT_PROFILES_DIR": str(ROOT / "transform"),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_VERSION_CHECK": "false",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        results = json.loads((target / "run_results.json").read_bytes())["results"]
        return {result["unique_id"]: result["status"] for result in results}

    def rows(self, query: str) -> list[Row]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def marts(self) -> dict[str, list[Row]]:
        """Every mart and what the marts are made of, whole."""
        found = self.rows(
            "select table_schema || '.' || table_name as relation from information_schema.tables "
            "where table_schema in ('intermediate', 'marts')"
        )
        return {
            row["relation"].removeprefix("marts."): self.rows(
                f"from {row['relation']} order by all"
            )
            for row in found
        }

    def append(self, table: str, loaded_at: datetime, types: Row, *rows: Row) -> None:
        """Add rows as a loader does that only appends; absent columns are null."""
        columns = {
            **types,
            "_sdc_batched_at": "timestamp",
            "_sdc_extracted_at": "timestamp",
            "_sdc_deleted_at": "varchar",
        }
        extracted_at = datetime.now(timezone.utc).replace(tzinfo=None)
        with duckdb.connect(str(self.file)) as connection:
            schema = table.split(".", maxsplit=1)[0]
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table if not exists {table} ({listed})")
            for row in rows:
                stored = {"_sdc_batched_at": loaded_at, "_sdc_extracted_at": extracted_at, **row}
                connection.execute(
                    f"insert into {table} values ({', '.join('?' * len(columns))})",  # noqa: S608
                    [stored.get(name) for name in columns],
                )

    def store(self, stream: str, rows: Iterable[Row]) -> None:
        """The rows in a new table, as target-duckdb makes it but for the key."""
        (schema,) = (s.schema for s in STREAMS if vars(s)["name"] == stream)
        types = {name: loaded_type(column) for name, column in schema["properties"].items()}
        lines = self.file.parent / f"{stream}.jsonl"
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        names = ", ".join(f'"{name}" as "{name.lower()}"' for name in types)
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("create schema if not exists sentry")
            connection.execute(
                f"create table sentry.{stream} as select {names}, "  # noqa: S608
                f"timestamp '2026-11-20 12:00' as _sdc_batched_at "
                f"from read_json('{lines}', columns = {{{columns}}}, format = 'newline_delimited')"
            )
