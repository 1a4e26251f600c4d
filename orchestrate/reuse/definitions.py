"""What a node is defined by, so that two definitions that mean the same are equal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

_DIALECT = "duckdb"
_LITERALS = frozenset({TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER})
_DIGITS = 16
_CALLED = re.compile(r"(\w+)\s*\(")
_DISPATCHED = re.compile(r"dispatch\(\s*['\"](\w+)")
_BUILT_IN = frozenset({"dbt", "dbt_duckdb"})
# Strategies of incremental models and snapshots, called by the name in a config.
_NAMED_BY_CONFIG = re.compile(r"get_incremental_\w+_sql$|snapshot_\w+_strategy$")
# What of a config says how a node is spoken of or grouped, not what is in it.
_NOT_OF_ROWS = frozenset({"access", "docs", "enabled", "freshness", "group", "tags"})


def digest(value: object) -> str:
    """16 hexadecimal digits, equal for equal values."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def normalised(sql: str, keywords: Collection[str]) -> str:
    """The SQL without comments and with one space between its words; as it is if it can't be cut.

    It is cut into words rather than parsed and written anew: a parser that overlooks a word would
    make two statements equal that are not. Only `keywords`, which can't name a column, lose their
    case, since a column is called as it was written.
    """
    try:
        tokens = sqlglot.tokenize(sql, dialect=_DIALECT)
    except SqlglotError:
        return sql
    words = []
    for token in tokens:
        text = token.text
        if token.token_type in _LITERALS:
            text = json.dumps([token.token_type.name, text])
        elif all(word in keywords for word in text.lower().split()):
            text = " ".join(text.lower().split())
        words.append(text)
    return " ".join(words)


def config_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """What of a node's config may change its rows or how they are kept.

    Descriptions count where dbt writes them into the warehouse, columns where it checks them.
    """
    config = {
        name: value
        for name, value in node.get("config", {}).items()
        if name not in _NOT_OF_ROWS and value not in (None, [], {})
    }
    if any((config.get("persist_docs") or {}).values()):
        config["description"] = node.get("description")
        config["columns"] = node.get("columns")
    elif (config.get("contract") or {}).get("enforced"):
        config["columns"] = {
            name: [column.get("data_type"), column.get("constraints"), column.get("quote")]
            for name, column in node.get("columns", {}).items()
        }
        config["constraints"] = node.get("constraints")
    return config


class Macros:
    """The macros of a project, for the texts of those that others may call.

    Args:
        macros: By unique id, each with name, package_name and macro_sql.
    """

    def __init__(self, macros: Mapping[str, Mapping[str, Any]]) -> None:
        self._macros = macros
        self._by_name: dict[str, list[str]] = {}
        for unique_id, macro in macros.items():
            name = macro["name"]
            self._by_name.setdefault(name, []).append(unique_id)
            if "__" in name:  # found by adapter.dispatch
                self._by_name.setdefault(name.split("__", 1)[1], []).append(unique_id)
        built_in = {one["name"] for one in macros.values() if one["package_name"] in _BUILT_IN}
        built_in |= {name.split("__", 1)[1] for name in built_in if "__" in name}
        # dbt's own may call these under names that are put together while it runs.
        self._overriding = [
            unique_id
            for unique_id, macro in macros.items()
            if macro["package_name"] not in _BUILT_IN
            and (
                {macro["name"], macro["name"].split("__", 1)[-1]} & built_in
                or _NAMED_BY_CONFIG.search(macro["name"])
            )
        ]
        self._called: dict[str, set[str]] = {}

    def of_materialization(self, name: str) -> list[str]:
        """The texts of all but dbt's own that act while such a node is built."""
        start = [
            unique_id
            for unique_id, macro in self._macros.items()
            if macro["name"].startswith(f"materialization_{name}_")
        ]
        return self._own_texts(self._closure([*start, *self._overriding]))

    def of_text(self, *texts: str) -> list[str]:
        """The texts of all but dbt's own that such Jinja texts may call, however far."""
        start = [one for text in texts for name in _calls(text) for one in self._named(name)]
        return self._own_texts(self._closure(start))

    def _named(self, name: str) -> list[str]:
        return self._by_name.get(name, [])

    def _closure(self, start: Iterable[str]) -> set[str]:
        found, left = set(), list(start)
        while left:
            unique_id = left.pop()
            if unique_id in found:
                continue
            found.add(unique_id)
            if unique_id not in self._called:
                names = _calls(self._macros[unique_id]["macro_sql"])
                self._called[unique_id] = {one for name in names for one in self._named(name)}
            left += self._called[unique_id]
        return found

    def _own_texts(self, unique_ids: Iterable[str]) -> list[str]:
        return [
            self._macros[one]["macro_sql"]
            for one in sorted(unique_ids)
            if self._macros[one]["package_name"] not in _BUILT_IN
        ]


def _calls(text: str) -> set[str]:
    return {*_CALLED.findall(text), *_DISPATCHED.findall(text)}
