"""A row as Sentry sent it, turned into the columns of its stream's schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tap_sentry import timestamps
from tap_sentry.errors import UnexpectedAnswer

Row = dict[str, Any]


class RecordFormat:
    """Makes every row of a stream look alike: all columns, each of its own type.

    A missing field is null. A value that cannot become its column's type is null as well,
    and counted in `misfits` under the column's name; a row without its key stops the run.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.misfits: Counter[str] = Counter()
        self._keys = tuple(schema["required"])
        self._columns = [
            (name, _converter(column)) for name, column in schema["properties"].items()
        ]

    def __call__(self, row: Mapping[str, Any]) -> Row:
        """The row's columns.

        Raises:
            UnexpectedAnswer: If a key column is missing or null.
        """
        record: Row = {}
        for name, convert in self._columns:
            value = row.get(name)
            if value is not None:
                try:
                    value = convert(value)
                except (ValueError, TypeError, OverflowError):
                    self.misfits[name] += 1
                    value = None
            record[name] = value
        for key in self._keys:
            if record[key] is None:
                raise UnexpectedAnswer(
                    f"Sentry sent a row without {key!r}, which names it. Nothing was skipped; "
                    "please report this with the version of your Sentry."
                )
        return record


def _converter(column: Mapping[str, Any]) -> Callable[[Any], Any]:
    if column.get("format") == "date-time":
        return _instant
    return _CONVERTERS[column["type"][0]]


def _instant(value: Any) -> str:
    if isinstance(value, str):
        return timestamps.normalised(value)
    raise TypeError(value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    if not -(2**63) <= number < 2**63:
        raise OverflowError(value)
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(value)


def _number(value: Any) -> float:
    number = float(value)
    if number - number != 0:  # neither infinity nor NaN is JSON
        raise ValueError(value)
    return number


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise TypeError(value)


def _array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError(value)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
    "array": _array,
}
