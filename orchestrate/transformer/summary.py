"""What the warehouse holds after a build: rows and newest time of each raw table and each mart.

Nothing is listed here by name. Raw tables are dbt's sources, with the newest `loaded_at_field`;
marts are the models below a folder `marts`, by the folder they lie in, with the newest value of the
column that their `config.meta.time_column` names, if it names one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import duckdb

from orchestrate.transformer.paths import Paths


class Relation(NamedTuple):
    schema: str
    name: str
    time_column: str | None


@dataclass(frozen=True)
class Content:
    relation: Relation
    rows: int
    newest: datetime | date | None


def raw_tables(manifest: Mapping[str, Any]) -> list[Relation]:
    return sorted(
        Relation(
            source["schema"],
            source["identifier"],
            _time_column(source) or source.get("loaded_at_field"),
        )
        for source in manifest["sources"].values()
    )


def marts(manifest: Mapping[str, Any]) -> dict[str, list[Relation]]:
    """Relations by the folder of their models, both in the order of the alphabet."""
    found: dict[str, list[Relation]] = defaultdict(list)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and "marts" in node["fqn"][1:-1]:
            relation = Relation(node["schema"], node["alias"], _time_column(node))
            found[node["fqn"][-2]].append(relation)
    return {folder: sorted(found[folder]) for folder in sorted(found)}


def _time_column(node: Mapping[str, Any]) -> str | None:
    meta: Mapping[str, str] = node.get("config", {}).get("meta") or {}
    return meta.get("time_column")


def contents(
    connection: duckdb.DuckDBPyConnection, relations: Sequence[Relation]
) -> Iterator[Content]:
    """Those that exist, counted. A stream that was not selected has no table."""
    times: dict[tuple[str, str], list[str]] = defaultdict(list)
    for schema, name, column, kind in connection.execute(
        "select table_schema, table_name, column_name, data_type "
        "from information_schema.columns order by ordinal_position"
    ).fetchall():
        times[schema, name] += [column] if kind.startswith(("DATE", "TIMESTAMP")) else []
    for relation in relations:
        of_table = times.get((relation.schema, relation.name))
        if of_table is None:
            continue
        newest = f'max("{relation.time_column}")' if relation.time_column in of_table else "null"
        found = connection.execute(
            f'select count(*), {newest} from "{relation.schema}"."{relation.name}"'  # noqa: S608
        ).fetchone()
        if found:
            yield Content(relation, *found)


def table(groups: Mapping[str, Sequence[Content]]) -> list[str]:
    """Lines of equal columns, a title before each group, readable behind a log prefix."""
    names = [row.relation.name for rows in groups.values() for row in rows]
    width = max(map(len, (*groups, *names)))
    lines = []
    for title, rows in groups.items():
        lines.append(f"{title:<{width}}  {'rows':>12}  newest (UTC)")
        for row in rows:
            newest = _minute(row.newest)
            lines.append(f"{row.relation.name:<{width}}  {row.rows:>12,}  {newest}")
    return lines


def next_steps(paths: Paths, marts: Sequence[Relation]) -> list[str]:
    published = paths.shown(paths.published)
    lines = [f"Written: {paths.shown(paths.warehouse)}   For reading: {published}"]
    if marts:
        lines.append(f"Look:    meltano invoke dbt show --select {marts[0].name} --limit 5")
    if paths.environment == "demo":
        lines.append(
            "Real:    copy .env.example to .env, set TAP_SENTRY_API_TOKEN and "
            "TAP_SENTRY_ORGANIZATION, run again"
        )
    return lines


def _minute(moment: datetime | date | None) -> str:
    if moment is None:
        return "-"
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else f"{moment:%Y-%m-%d}"
