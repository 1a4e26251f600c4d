"""What is in the warehouse: its relations, and fingerprints of their rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from orchestrate.reuse.definitions import digest

# Values of these types may hash alike and yet differ: 0.0 and -0.0, one month and thirty days, an
# empty list and none, a struct of nulls and none.
_TWOFOLD = re.compile(
    r"\b(FLOAT|DOUBLE|INTERVAL|TIME WITH TIME ZONE)\b|\b(STRUCT|MAP|UNION|VARIANT)\b|\[\d*\]"
)
_FLOATS = frozenset({"FLOAT", "DOUBLE"})

# Read from its file, DuckDB puts a view's SQL otherwise than when the view was just made: so it is
# put once more in either case.
_RELATIONS = """
    select database_name, schema_name, table_name, '', false
    from duckdb_tables()
    where not internal
    union all
    select
        database_name, schema_name, view_name,
        coalesce(
            try(json_deserialize_sql(json_serialize_sql(substr(sql, instr(sql, ' AS ') + 4)))), sql
        ),
        true
    from duckdb_views()
    where not internal
"""


class Cursor(Protocol):
    """A cursor of DuckDB, or what dbt wraps around one."""

    def execute(self, text: str, /) -> Any: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Relation(NamedTuple):
    """The name of a table or view."""

    database: str
    schema: str
    name: str

    def __str__(self) -> str:
        return self.sql

    @property
    def sql(self) -> str:
        return ".".join(quoted(part) for part in self)


class Stored(NamedTuple):
    """A relation that is there; `sql` is a view's own, as DuckDB writes it."""

    is_view: bool
    columns: dict[str, str]
    sql: str = ""

    @property
    def shape(self) -> str:
        """A fingerprint of the columns' names and types."""
        return digest(list(self.columns.items()))


class Wanted(NamedTuple):
    """Some columns of a relation, all if None; `rounded` to what two sums in two orders share."""

    relation: Relation
    columns: tuple[str, ...] | None = None
    rounded: bool = False


class Contents:
    """Fingerprints of a warehouse's relations, each asked for once.

    A fingerprint is the number of rows, a hash of names and types of the columns, and the sum of a
    hash of each row: rows may lie in any order, but no value may change, swap or be lost. For a
    view it is of what the view is made by.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.relations: dict[Relation, Stored] = {}
        self._known: dict[Wanted, str | None] = {}
        self.refresh()

    def refresh(self, built: Iterable[Relation] | None = None) -> None:
        """Look again what is there, and forget the rows of what was built, or else of all."""
        gone = None if built is None else set(built)
        self._known = {
            wanted: known
            for wanted, known in self._known.items()
            if gone is not None and wanted.relation not in gone
        }
        columns: dict[Relation, dict[str, str]] = {}
        for *names, column, kind in self._ask(
            "select database_name, schema_name, table_name, column_name, data_type "
            "from duckdb_columns() where not internal "
            "order by database_name, schema_name, table_name, column_index"
        ):
            columns.setdefault(Relation(*names), {})[column] = kind
        self.relations = {}
        for *names, sql, is_view in self._ask(_RELATIONS):
            relation = Relation(*names)
            self.relations[relation] = Stored(is_view, columns.get(relation, {}), sql)

    def prefetch(self, wanted: Iterable[Wanted]) -> None:
        """Ask for many at once: each table is read once for all that is wanted of it."""
        by_relation: dict[Relation, list[Wanted]] = {}
        for one in dict.fromkeys(wanted):
            if one not in self._known:
                by_relation.setdefault(one.relation, []).append(one)
        for relation, several in by_relation.items():
            stored = self.relations.get(relation)
            if stored is None or stored.is_view:
                made_by = digest([stored.sql, stored.shape]) if stored else None
                self._known.update(dict.fromkeys(several, made_by))
                continue
            sums = ", ".join(_sum(stored, one) for one in several)
            [(rows, *found)] = self._ask(f"select count(*), {sums} from {relation.sql}")  # noqa: S608
            for one, total in zip(several, found, strict=True):
                kinds = {name: stored.columns.get(name) for name in _columns(stored, one)}
                self._known[one] = f"{rows}:{digest(list(kinds.items()))}:{total or 0:x}"

    def of(self, wanted: Wanted) -> str | None:
        """The fingerprint; None if there is no such relation."""
        self.prefetch([wanted])
        return self._known[wanted]

    def shape(self, relation: Relation) -> str | None:
        """The fingerprint of its columns alone; None if there is no such relation."""
        stored = self.relations.get(relation)
        return stored.shape if stored else None

    def _ask(self, text: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(text)
        return self._cursor.fetchall()


def quoted(name: str) -> str:
    """The name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _columns(stored: Stored, wanted: Wanted) -> tuple[str, ...]:
    return tuple(stored.columns) if wanted.columns is None else wanted.columns


def _sum(stored: Stored, wanted: Wanted) -> str:
    names = [name for name in _columns(stored, wanted) if name in stored.columns]
    if not names:
        return "0::hugeint"
    parts = [part for name in names for part in _hashed(name, stored.columns[name], wanted)]
    # Hashed twice: hashes of columns are put together too plainly to be summed, and that of 0 is 0.
    return f"sum(hash(hash({', '.join(parts)}))::hugeint)"


def _hashed(name: str, kind: str, wanted: Wanted) -> list[str]:
    column = quoted(name)
    if wanted.rounded and kind == "DOUBLE":
        return [f"{column}::float"]
    if kind in _FLOATS:
        return [column, f"signbit({column})"]
    return [column, f"{column}::varchar"] if _TWOFOLD.search(kind) else [column]
