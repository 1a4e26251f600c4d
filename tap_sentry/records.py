"""A row as Sentry sent it, turned into the columns of its stream's schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tap_sentry import timestamps
from tap_sentry.errors import UnexpectedAnswer
from tap_sentry.redaction import without_secrets

Row = dict[str, Any]

UNKNOWN_FIELDS = "unknown_fields"


class RecordFormat:
    """Makes every row of a stream look alike: all columns, each of its own type.

    A missing field is null. A value that cannot become its column's type is null as well,
    and counted in `misfits` under the column's name; a row without its key stops the run.
    The names of fields that are no column are noted in `unknown`; where the schema has the column
    `unknown_fields`, they are kept there.

    Args:
        schema: The stream's columns.
        left_out: Fields that are no column on purpose.
    """

    def __init__(self, schema: Mapping[str, Any], left_out: Collection[str] = ()) -> None:
        self.misfits: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self._known = {*schema["properties"], *left_out}
        self._keeps_unknown = UNKNOWN_FIELDS in schema["properties"]
        self._keys = tuple(schema["required"])
        self._columns = [
            (name, *_conversion(column)) for name, column in schema["properties"].items()
        ]

    def __call__(self, row: Mapping[str, Any]) -> Row:
        """The row's columns.

        Raises:
            UnexpectedAnswer: If a key column is missing or null.
        """
        record: Row = {}
        get = row.get
        for name, as_it_is, convert in self._columns:
            value = get(name)
            if value is not None and type(value) is not as_it_is:
                try:
                    value = convert(value)
                except (ValueError, TypeError, OverflowError):
                    self.misfits[name] += 1
                    value = None
            record[name] = value
        if not row.keys() <= self._known:
            unknown = row.keys() - self._known
            self.unknown |= unknown
            if self._keeps_unknown:
                record[UNKNOWN_FIELDS] = without_secrets({name: row[name] for name in unknown})
        for key in self._keys:
            if record[key] is None:
                raise UnexpectedAnswer(
                    f"Sentry sent a row without {key!r}, which names it. Nothing was skipped; "
                    "please report this with the version of your Sentry."
                )
        return record


def _conversion(column: Mapping[str, Any]) -> tuple[type | None, Callable[[Any], Any]]:
    """The type whose values stay as they are, and what to do with all others."""
    if column.get("format") == "date-time":
        return None, _instant
    return _CONVERSIONS[column["type"][0]]


def _instant(value: Any) -> str:
    if isinstance(value, str):
        return timestamps.normalised(value)
    raise TypeError(value)


def _string(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    if not -(2**63) <= number < 2**63:
        raise OverflowError(value)
    return number


def _number(value: Any) -> float:
    number = float(value)
    if number - number != 0:  # neither infinity nor NaN is JSON
        raise ValueError(value)
    return number


def _misfit(value: Any) -> Any:
    raise TypeError(value)


_CONVERSIONS: dict[str, tuple[type | None, Callable[[Any], Any]]] = {
    "string": (str, _string),
    "integer": (None, _integer),
    "number": (None, _number),
    "boolean": (bool, _misfit),
    "object": (dict, _misfit),
    "array": (list, _misfit),
}
