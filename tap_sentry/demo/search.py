"""Sentry's search syntax, as far as exports need it: terms joined by AND."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tap_sentry.demo import dates
from tap_sentry.demo.exchange import bad_request

_TERM = re.compile(
    r"""(?P<negated>!)?
    (?P<key>[A-Za-z_][\w.\-]*(?:\[[^\]]*\])?(?:\([^)]*\))?)
    :(?P<operator>>=|<=|>|<|=)?
    (?P<value>"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\S*)
    |(?P<free>"(?:[^"\\]|\\.)*"|\S+)""",
    re.VERBOSE,
)


class Term(NamedTuple):
    """One condition; free text has an empty key. Values of `key:[a, b]` are alternatives."""

    key: str
    operator: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a row's value meets the condition."""
        if self.operator in {"", "="}:
            found = any(_equal(value, wanted) for wanted in self.values)
        else:
            found = _compares(value, self.operator, self.values[0])
        return found != self.negated


def terms(query: str) -> list[Term]:
    """The conditions of a query."""
    found = []
    for match in _TERM.finditer(query):
        if match["free"] is not None:
            if match["free"].upper() == "OR":
                raise bad_request("Invalid query: boolean statements are not supported here")
            if match["free"].upper() != "AND":
                found.append(Term("", "", (_unquoted(match["free"]),)))
            continue
        value = match["value"]
        values = (
            tuple(_unquoted(part.strip()) for part in value[1:-1].split(","))
            if value.startswith("[")
            else (_unquoted(value),)
        )
        found.append(Term(match["key"], match["operator"] or "", values, bool(match["negated"])))
    return found


def matcher(
    conditions: list[Term], value_of: Callable[[Any, str], Any], text_of: Callable[[Any], str]
) -> Callable[[Any], bool]:
    """A test for rows: all terms hold, free text and `has:` included."""

    def holds(row: Any) -> bool:
        for term in conditions:
            if not term.key:
                met = term.values[0].lower() in text_of(row).lower()
            elif term.key == "has":
                met = (value_of(row, term.values[0]) not in {None, ""}) != term.negated
            else:
                met = term.holds(value_of(row, term.key))
            if not met:
                return False
        return True

    return holds


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.lower() in ({"true", "1"} if value else {"false", "0"})
    if isinstance(value, (int, float)):
        number = _number(wanted)
        return number is not None and value == number
    if "*" in wanted:
        pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
        return re.fullmatch(pattern, str(value or ""), flags=re.DOTALL) is not None
    return (value or "") == wanted


def _compares(value: Any, operator: str, wanted: str) -> bool:
    if value is None:
        return False
    limit = _number(wanted)
    if limit is None:
        try:
            limit = dates.parsed(wanted)
        except ValueError:
            raise bad_request(f"Invalid value for a comparison: {wanted}") from None
    if isinstance(value, str):
        number = _number(value)
        value = dates.parsed(value) if number is None else number
    return bool(
        {
            ">=": value >= limit,
            "<=": value <= limit,
            ">": value > limit,
            "<": value < limit,
        }[operator]
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
