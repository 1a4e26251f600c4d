"""What a statement reads, and whether it gives the same rows at any time: asked of DuckDB."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import duckdb
import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from orchestrate.reuse.contents import Contents, Cursor, Relation

_WORD = re.compile(r"[A-Za-z_]\w*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')
# Words that stand for a function without brackets, or for a choice by chance.
_BARE = frozenset(
    {"current_date", "current_time", "current_timestamp", "current_user", "current_role"}
    | {"current_catalog", "current_schema", "localtime", "localtimestamp", "session_user", "user"}
    | {"tablesample"}
)
# Those of them that also count in Jinja, where the others are common words.
_CLOCKS = frozenset(word for word in _BARE if word.startswith(("current_d", "current_t", "local")))
# By their settings or variables, which are not among the rows that a node reads.
_BY_SETTING = frozenset({"current_setting", "getenv", "getvariable"})
# Of one instant age() reads the clock, though DuckDB lists it as consistent; the others run a text.
_MISLEADING = frozenset({"age", "query", "query_table", "json_execute_serialized_sql"})
# Operators that read nothing but the statement itself.
_LEAVES = frozenset(
    {"CTE_SCAN", "REC_CTE_SCAN", "DELIM_SCAN", "COLUMN_DATA_SCAN", "DUMMY_SCAN", "EMPTY_RESULT"}
    | {"CHUNK_SCAN", "EXPRESSION_SCAN", "RANGE", "GENERATE_SERIES", "UNNEST", "REPEAT"}
    | {"REPEAT_ROW", "JSON_EACH", "JSON_TREE"}
)
# Only these rewrite a plan in a way that holds whatever the tables hold. Others look at what is
# in them now, or hide in a scan which columns a condition reads.
_KEPT = ("unused_columns", "cte_inlining")


class Unproven(Exception):
    """What a statement reads can't be told; the message says why, as the end of a sentence."""


class Functions(NamedTuple):
    """Of a warehouse: its keywords, functions that vary, functions and types of its own."""

    keywords: frozenset[str]
    varying: frozenset[str]
    own: frozenset[str]

    @classmethod
    def of(cls, cursor: Cursor) -> Functions:
        """Ask a warehouse for them."""
        # Only these can't name a column.
        keywords = _column(
            cursor,
            "select keyword_name from duckdb_keywords() "
            "where keyword_category in ('reserved', 'type_function')",
        )
        varying = (
            _BY_SETTING
            | _MISLEADING
            | _column(
                cursor,
                # Who calls error() gives no rows at all.
                "select function_name from duckdb_functions() "
                "where stability <> 'CONSISTENT' and function_name <> 'error'",
            )
        )
        own = _column(
            cursor,
            "select function_name from duckdb_functions() where not internal "
            "union all select type_name from duckdb_types() where not internal",
        )
        cursor.execute(
            "select function_name, macro_definition from duckdb_functions() "
            "where internal and macro_definition is not null"
        )
        macros = [(str(name), set(_WORD.findall(text.lower()))) for name, text in cursor.fetchall()]
        while True:  # macros of DuckDB are made of others
            more = {name for name, words in macros if words & (varying | _BARE)} - varying
            if not more:
                return cls(keywords | {"by"}, frozenset(varying), frozenset(own))
            varying |= more


def _column(cursor: Cursor, text: str) -> frozenset[str]:
    cursor.execute(text)
    return frozenset(str(value).lower() for (value,) in cursor.fetchall())


def varying(sql: str, functions: Functions) -> str | None:
    """The first word by which a statement gives other rows at another time; None without one."""
    try:
        tokens = sqlglot.tokenize(sql, dialect="duckdb")
    except SqlglotError:
        return "SQL that can't be read"
    for place, token in enumerate(tokens):
        if token.token_type is TokenType.STRING:
            continue
        text = " ".join(token.text.lower().split())
        follower = tokens[place + 1] if place + 1 < len(tokens) else None
        if text in functions.varying and follower and follower.token_type is TokenType.L_PAREN:
            return f"{text}()"
        is_quoted = token.token_type is TokenType.IDENTIFIER
        if text in _BARE and not is_quoted:
            return text
        if text == "using" and follower and follower.text.lower() == "sample":
            return "using sample"
    return None


def own_function(sql: str, functions: Functions) -> str | None:
    """The first function or type of the database's own that a statement names, if there is one."""
    return next((word for word in _WORD.findall(sql.lower()) if word in functions.own), None)


def named_view(sql: str, contents: Contents, known: Collection[Relation | None]) -> str | None:
    """The first view that a statement names but dbt does not know it to read: a plan hides it."""
    text = sql.lower()
    words = set(_WORD.findall(text))
    for relation, stored in contents.relations.items():
        name = relation.name.lower()
        # A name that is no plain word is not among the words.
        is_named = name in words or (not _WORD.fullmatch(name) and name in text)
        if is_named and stored.is_view and relation not in known:
            return str(relation)
    return None


def varying_text(text: str, functions: Functions) -> str | None:
    """As `varying`, of a text that is no SQL yet: any such word in it counts."""
    for found in _WORD.finditer(text.lower()):
        word, rest = found[0], text[found.end() :].lstrip()
        if word in _CLOCKS or word in functions.own:
            return word
        if word in functions.varying and rest.startswith("("):
            return f"{word}()"
    return None


@contextmanager
def plain_plans(cursor: Cursor) -> Iterator[None]:
    """Meanwhile plans are made by nothing that looks at the rows."""
    cursor.execute("from duckdb_optimizers()")
    names = [str(name) for (name,) in cursor.fetchall()]
    cursor.execute("select current_setting('disabled_optimizers')")
    [(before,)] = cursor.fetchall()
    cursor.execute(f"set disabled_optimizers = '{','.join(n for n in names if n not in _KEPT)}'")
    try:
        yield
    finally:
        cursor.execute(f"set disabled_optimizers = '{before or ''}'")


def reads(cursor: Cursor, sql: str, contents: Contents) -> dict[Relation, tuple[str, ...] | None]:
    """The tables that a statement reads, also through views, with the columns it needs of each.

    Call it inside of `plain_plans`. All columns are None: where DuckDB names one that the table
    has not, as of a part of a struct.

    Raises:
        Unproven: If DuckDB can't plan it, or it reads something that is no table.
    """
    try:
        cursor.execute(f"explain (format json) {sql}")
        [(_, plan)] = cursor.fetchall()
        operators = list(_operators(json.loads(plan)))
    except (duckdb.Error, ValueError) as error:
        raise Unproven(f"DuckDB can't plan it ({str(error).splitlines()[0]})") from error
    found: dict[Relation, set[str] | None] = {}
    for operator in operators:
        facts = operator["extra_info"]
        if "Table" not in facts:
            if not operator["children"] and operator["name"].strip() not in _LEAVES:
                name = str(facts.get("Function") or operator["name"]).strip().lower()
                raise Unproven(f"it reads {name}")
            continue
        names = _QUOTED.findall(facts["Table"])
        parts = [quoted.replace('""', '"') or bare for quoted, bare in names]
        if len(parts) != 3:
            raise Unproven(f"it reads {facts['Table']}")
        relation = Relation(*parts)
        named = facts.get("Projections")
        columns = {named} - {""} if isinstance(named, str) else set(named or ())
        stored = contents.relations.get(relation)
        before = found.get(relation, set())
        is_told = named is not None and not facts.get("Filters")
        is_plain = is_told and stored is not None and columns <= set(stored.columns)
        found[relation] = before | columns if is_plain and before is not None else None
    return {
        relation: None if columns is None else tuple(sorted(columns))
        for relation, columns in found.items()
    }


def _operators(plans: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for plan in plans:
        yield plan
        yield from _operators(plan["children"])
