"""The models on PostgreSQL: from the same raw rows the same results as on DuckDB, row by row."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import plugins, postgres, sample

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POSTGRES_TYPES = {"double": "double precision", "json": "jsonb"}

# Of these some rows come late and some again; what they refer to is there from the start.
LATE = ("events", "issue_detail", "issues", "release_health", "spans", "usage_outcomes")
# Loaders that upsert declare a key, by which a table of theirs is read in another way.
KEYED = ("projects", "teams", "users")
# With a fixed end two builds see the same product events.
VARIABLES = {"sample_events_until": "2026-11-20 12:00:00"}

Row = list[Any]


@dataclass(frozen=True)
class Relation:
    """All rows of a table or view; the order of columns is that of DuckDB."""

    columns: list[str]
    rows: list[Row]


Relations = dict[str, Relation]


@dataclass(frozen=True)
class Warehouses:
    """A DuckDB file and a PostgreSQL database that are given the same rows."""

    dbt: Path
    folder: Path
    server: postgres.Server

    @property
    def file(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def load_first(self) -> None:
        self.server.sql("create schema sentry")
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("create schema sentry")
            for stream, columns in sample.declared_columns().items():
                types = {**columns, "_sdc_extracted_at": "timestamp", "_sdc_deleted_at": "varchar"}
                kept = "number % 10 <> 3" if stream in LATE else "true"
                key = ", primary key (id)" if stream in KEYED else ""
                connection.execute(f"create table sentry.{stream} ({listed(types)}{key})")
                stored = {name: POSTGRES_TYPES.get(kind, kind) for name, kind in types.items()}
                self.server.sql(f"create table sentry.{stream} ({listed(stored)}{key})")
                rows = f"select * from ({seed(stream, columns)}) where {kept}"  # noqa: S608
                self._append(connection, stream, rows)

    def load_late(self) -> None:
        """A tenth that was missing, a tenth again with another weight; some product events go."""
        fewer = "delete from seeds.events where session_number % 10 = 3"
        self.server.sql(fewer)
        with duckdb.connect(str(self.file)) as connection:
            connection.execute(fewer)
            for stream, columns in sample.declared_columns().items():
                if stream in LATE:
                    changes = "_sdc_batched_at + interval '1 day' as _sdc_batched_at"
                    if "sample_weight" in columns:
                        changes += ", sample_weight * 2 as sample_weight"
                    rows = f"select * replace ({changes}) from ({seed(stream, columns)})"  # noqa: S608
                    self._append(connection, stream, f"{rows} where number % 10 in (3, 4)")

    def _append(self, connection: duckdb.DuckDBPyConnection, stream: str, rows: str) -> None:
        path = self.folder / f"{stream}.csv"
        connection.execute(f"create or replace temp table batch as {rows}")
        connection.execute("alter table batch drop column number")
        connection.execute(f"insert into sentry.{stream} by name from batch")
        connection.execute(f"copy batch to '{path}' (header false, nullstr '\\N')")
        self.server.sql(f"\\copy sentry.{stream} from '{path}' (format csv, null '\\N')")

    def build(self, *excluded_types: str) -> None:
        """`dbt build` on both, which must succeed."""
        command = [str(self.dbt), "build", "--vars", json.dumps(VARIABLES)]
        command += ["--exclude-resource-types", *excluded_types]
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DBT_")}
        processes = []
        for target in ("warehouse", "postgres"):
            environment = {
                **kept,
                "DBT_TARGET": target,
                "DBT_WAREHOUSE_PATH": str(self.file),
                "DBT_POSTGRES_HOST": str(self.server.data),
                "DBT_POSTGRES_DBNAME": postgres.DATABASE,
                "DBT_PROJECT_DIR": str(ROOT / "transform"),
                "DBT_PROFILES_DIR": str(ROOT / "transform"),
                "DBT_TARGET_PATH": str(self.folder / target),
                "DBT_LOG_PATH": str(self.folder / target),
                "DBT_VERSION_CHECK": "false",
            }
            processes.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            )
        printed = [process.communicate(timeout=300)[0] for process in processes]
        for process, text in zip(processes, printed, strict=True):
            assert process.returncode == 0, text[-6000:]

    def relations(self) -> tuple[Relations, Relations]:
        """What dbt made, on DuckDB and on PostgreSQL."""
        on_duckdb: Relations = {}
        on_postgres: Relations = {}
        with duckdb.connect(str(self.file), read_only=True) as connection:
            names = connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables "
                "where table_schema <> 'sentry'"
            ).fetchall()
            for (name,) in names:
                cursor = connection.execute(f"from {name}")
                described = cursor.description or []
                columns, kinds = [str(c[0]) for c in described], [str(c[1]) for c in described]
                rows = [plain(row, kinds) for row in cursor.fetchall()]
                on_duckdb[name] = Relation(columns, rows)
                lines = self.server.sql(f"select row_to_json(r) from {name} as r")  # noqa: S608
                rows = [read(line, columns, kinds) for line in lines]
                on_postgres[name] = Relation(columns, rows)
        return on_duckdb, on_postgres


def listed(types: dict[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in types.items())


def seed(stream: str, columns: dict[str, str]) -> str:
    """The query of a seed's rows, numbered, as the loader would have stored them."""
    rows = f"read_csv('{sample.path_of(stream)}', header = true, columns = {columns})"
    own = "_sdc_batched_at as _sdc_extracted_at, cast(null as varchar) as _sdc_deleted_at"
    return f"select *, {own}, row_number() over () as number from {rows}"  # noqa: S608


def plain(row: tuple[Any, ...], kinds: list[str]) -> Row:
    """Values of DuckDB as JSON would bring them."""
    return [_plain(value, kind) for value, kind in zip(row, kinds, strict=True)]


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return json.loads(value) if kind == "JSON" and value is not None else value


def read(line: str, columns: list[str], kinds: list[str]) -> Row:
    """A row that PostgreSQL gave as JSON."""
    fields = json.loads(line)
    assert sorted(fields) == sorted(columns)
    return [_read(fields[name], kind) for name, kind in zip(columns, kinds, strict=True)]


def _read(value: Any, kind: str) -> Any:
    if value is not None and kind == "TIMESTAMP":
        whole, _, fraction = value.partition(".")
        return f"{whole}.{fraction:0<6}"
    # A whole number may have lost its point.
    return float(value) if value is not None and kind == "DOUBLE" else value


def differences(expected: Relation, found: Relation) -> list[str]:
    """What the rows differ in, the order of rows apart; no more than some of it."""
    if len(expected.rows) != len(found.rows):
        return [f"{len(expected.rows)} rows, not {len(found.rows)}"]
    pairs = zip(sorted(expected.rows, key=_order), sorted(found.rows, key=_order), strict=True)
    return [
        f"{name}: {one!r}, not {other!r}"
        for left, right in pairs
        for name, one, other in zip(expected.columns, left, right, strict=True)
        if not same(one, other)
    ][:5]


def _order(row: Row) -> tuple[str, list[float]]:
    # Fractions last: their last digit must not decide.
    exact = [value for value in row if not isinstance(value, float)]
    return json.dumps(exact, sort_keys=True), [value for value in row if isinstance(value, float)]


def same(one: Any, other: Any) -> bool:
    if type(one) is type(other) is float:
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


@dataclass(frozen=True)
class Built:
    first: tuple[Relations, Relations]
    late: tuple[Relations, Relations]


@pytest.fixture(scope="module")
def built(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    try:
        plugin = plugins.install("transformer", shared_folder, *postgres.PACKAGES, name="postgres")
    except subprocess.CalledProcessError:
        pytest.skip(f"no wheels of {' and '.join(postgres.PACKAGES)} for this Python and machine")
    try:
        with postgres.server(plugin.parent) as server:
            folder = tmp_path_factory.mktemp("built")
            warehouses = Warehouses(plugin / "dbt", folder, server)
            warehouses.load_first()
            warehouses.build("unit_test")
            first = warehouses.relations()
            warehouses.load_late()
            warehouses.build("unit_test", "test", "seed")
            yield Built(first, warehouses.relations())
    except postgres.NotStarted as error:
        pytest.skip(f"no PostgreSQL can be started here: {error}")


def differing(both: tuple[Relations, Relations]) -> dict[str, list[str]]:
    on_duckdb, on_postgres = both
    found = {name: differences(on_duckdb[name], on_postgres[name]) for name in on_duckdb}
    return {name: told for name, told in found.items() if told}


class TestModels:
    def test_give_the_same_rows(self, built: Built) -> None:
        assert differing(built.first) == {}

    def test_give_the_same_rows_with_late_ones(self, built: Built) -> None:
        assert differing(built.late) == {}

    def test_have_rows_to_compare(self, built: Built) -> None:
        models = {
            path.stem
            for path in (ROOT / "transform/models").rglob("*.sql")
            if 'materialized="ephemeral"' not in path.read_text(encoding="utf-8")
        }
        compared = {name.split(".")[1]: relation.rows for name, relation in built.late[0].items()}
        assert models <= {name for name, rows in compared.items() if rows}

    def test_take_in_late_rows(self, built: Built) -> None:
        for name in ("intermediate.int_spans", "intermediate.int_errors", "marts.user_engagement"):
            assert differences(built.first[1][name], built.late[1][name]), name


class TestDifferences:
    COLUMNS = ("id", "share", "is_new")

    def between(self, one: list[Row], other: list[Row]) -> list[str]:
        columns = list(self.COLUMNS)
        return differences(Relation(columns, one), Relation(columns, other))

    def test_forgive_the_order_of_rows_and_the_last_digit(self) -> None:
        first, second = ["a", 0.1 + 0.2, True], ["b", None, None]
        assert self.between([first, second], [second, ["a", 0.3, True]]) == []

    @pytest.mark.parametrize(
        "other", [["a", 0.300001, True], ["b", 0.3, True], ["a", 0.3, None], ["a", 0.3, 1]]
    )
    def test_find_another_value(self, other: Row) -> None:
        assert len(self.between([["a", 0.3, True]], [other])) == 1

    def test_find_a_missing_row(self) -> None:
        assert self.between([["a", 0.3, True]], []) == ["1 rows, not 0"]
