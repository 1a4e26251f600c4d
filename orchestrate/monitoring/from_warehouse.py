"""Asking the published copies of the warehouses, each environment's own, and looking at the files.

The copies, since DuckDB lets nobody in while dbt writes the live file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from orchestrate.ledger.store import Ledger
from orchestrate.monitoring import business, marts
from orchestrate.monitoring.model import Family, Kind, Metric, Query, Sample, families
from orchestrate.warehouse import one_line

QUERIES: Mapping[str, tuple[Query, ...]] = {**marts.QUERIES, **business.QUERIES}

_OF = ("environment",)
SIZE = Family(
    Metric("warehouse_size_bytes", "Size of the live file, and of its published copy."),
    Kind.GAUGE,
    (*_OF, "file"),
)
PUBLISHED = Family(
    Metric("published_timestamp_seconds", "When the copy was last published."), Kind.GAUGE, _OF
)
ROWS = Family(
    Metric("table_rows", "Rows of a table in the published copy."),
    Kind.GAUGE,
    (*_OF, "schema", "table"),
)
NEWEST = Family(
    Metric("mart_newest_timestamp_seconds", "The newest time in a mart; of a day, its beginning."),
    Kind.GAUGE,
    (*_OF, "mart"),
)
LIMIT = Family(
    Metric("source_warn_after_seconds", "How old a stream's newest rows may get, as dbt has it."),
    Kind.GAUGE,
    (*_OF, "stream"),
)
READABLE = Family(
    Metric("mart_readable", "1 if its metrics could be read from the published copy, else 0."),
    Kind.GAUGE,
    (*_OF, "mart"),
)
FAMILIES = (SIZE, PUBLISHED, ROWS, NEWEST, LIMIT, READABLE)

_PERIOD_S = {"minute": 60, "hour": 3600, "day": 86_400}
# Its estimated sizes count rows that were deleted.
_TABLES = """
select schema_name, table_name
from duckdb_tables()
where database_name = current_database()
"""
# Of the project as it was when dbt last ran in the environment.
_NODES = """
select name, schema, identifier, config
from manifest_node
where resource_type = ? and manifest_hash = (
    select manifest_hash from dbt_invocation
    where environment = ? and manifest_hash is not null
    order by started_us desc limit 1
)
"""


def measure(ledger: Ledger, output: Path, say: Callable[[str], None]) -> Iterator[Family]:
    """What each environment has. What can't be read is said, and is 0 in `mart_readable`.

    Raises:
        LedgerError: If the ledger can't be read.
    """
    for published in sorted(output.glob("*/published/warehouse.duckdb")):
        environment = published.parents[1].name
        for name, path in (
            ("live", published.parents[1] / published.name),
            ("published", published),
        ):
            if path.exists():
                yield _family(SIZE, [(environment, name, path.stat().st_size)])
        yield _family(PUBLISHED, [(environment, published.stat().st_mtime)])
        try:
            with duckdb.connect(str(published), read_only=True) as connection:
                # It runs beside the pipeline and must not slow it.
                connection.execute("set threads = 1")
                # All or nothing: two values of the same labels would spoil the whole file.
                yield from list(_measured(ledger, environment, connection, say))
        except duckdb.Error as error:
            say(f"WARN  No metrics from {published}: {one_line(error)}.")
            yield _family(READABLE, [(environment, mart, 0) for mart in QUERIES])


def _measured(
    ledger: Ledger,
    environment: str,
    connection: duckdb.DuckDBPyConnection,
    say: Callable[[str], None],
) -> Iterator[Family]:
    tables = connection.execute(_TABLES).fetchall()
    for schema, table in tables:
        text = f"select count(*) from {_quoted(schema)}.{_quoted(table)}"
        yield _family(ROWS, [(environment, schema, table, *connection.execute(text).fetchall()[0])])
    for mart, queries in QUERIES.items():
        try:
            found = list(_of_mart(environment, connection, queries))
        except duckdb.Error as error:  # noqa: PERF203
            say(f"WARN  No metrics from {mart} of {environment}: {one_line(error)}.")
            yield _family(READABLE, [(environment, mart, 0)])
        else:
            yield from found
            yield _family(READABLE, [(environment, mart, 1)])
    for name, schema, identifier, config in ledger.select(_NODES, ["model", environment]):
        settings, table = json.loads(config), identifier or name
        column = (settings.get("meta") or {}).get("time_column")
        if column and "marts" in (settings.get("tags") or []) and (schema, table) in tables:
            place = f"{_quoted(schema)}.{_quoted(table)}"
            text = f"select epoch(max({_quoted(column)})) from {place}"
            try:
                (newest,) = connection.execute(text).fetchone() or (None,)
            except duckdb.Error as error:
                say(f"WARN  No newest time of {name} of {environment}: {one_line(error)}.")
            else:
                yield _family(NEWEST, [(environment, name, newest)])
    for name, _, _, config in ledger.select(_NODES, ["source", environment]):
        limit_s = _warn_after_s(json.loads(config))
        yield _family(LIMIT, [(environment, name, limit_s)])


def _quoted(name: object) -> str:
    escaped = str(name).replace('"', '""')
    return f'"{escaped}"'


def _of_mart(
    environment: str, connection: duckdb.DuckDBPyConnection, queries: tuple[Query, ...]
) -> Iterator[Family]:
    for query in queries:
        rows = connection.execute(query.text).fetchall()
        yield from families(query, [(environment, *row) for row in rows])


def _warn_after_s(config: Mapping[str, Any]) -> float | None:
    after = (config.get("freshness") or {}).get("warn_after") or {}
    return after["count"] * _PERIOD_S[after["period"]] if after.get("count") else None


def _family(family: Family, rows: list[tuple[Any, ...]]) -> Family:
    return family._replace(
        samples=tuple(
            Sample(tuple(labels), float(value)) for *labels, value in rows if value is not None
        )
    )
