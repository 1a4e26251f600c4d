"""Scripted faults: what goes wrong, on which requests.

`TooManyRequests(path="*/issues/*", at=3, reset_after_s=2)` refuses the third request whose path
matches. The same as text: `"TooManyRequests path=*/issues/* at=3 reset_after_s=2"`.
"""

from __future__ import annotations

import shlex
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any

from tap_sentry.demo.faults import Fault

FAULTS: dict[str, type[Fault]] = {kind.__name__: kind for kind in Fault.__subclasses__()}


def parsed(text: str) -> Fault:
    """A fault from its text: the name, then `attribute=value`.

    Raises:
        ValueError: If the name, an attribute or a value is none.
    """
    name, *settings = shlex.split(text) or [""]
    kind = FAULTS.get(name)
    if kind is None:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}")
    known = {field.name: str(field.type) for field in fields(kind)}
    values: dict[str, Any] = {}
    for setting in settings:
        attribute, equals, value = setting.partition("=")
        if not equals or attribute not in known:
            raise ValueError(f"{name} has no {setting!r}; it has {', '.join(known)}")
        try:
            values[attribute] = _converted(value, known[attribute])
        except ValueError:
            kind_of_value = known[attribute].removesuffix(" | None")
            raise ValueError(f"{name}: {setting!r} is no {kind_of_value}") from None
    return kind(**values)


def _converted(value: str, kind: str) -> Any:
    if kind.startswith("int"):
        return int(value)
    if kind == "float":
        return float(value)
    if kind == "bool":
        if value.lower() not in {"true", "false"}:
            raise ValueError(value)
        return value.lower() == "true"
    if kind.startswith("Literal") and f'"{value}"' not in kind.replace("'", '"'):
        raise ValueError(value)
    return value


class Script:
    """Faults with their counts of the requests they looked at."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = list(faults)
        self._seen: Counter[int] = Counter()
        self._lock = threading.Lock()

    def due(self, path: str) -> Fault | None:
        """The first fault that spoils this request; all whose path matches count it."""
        found = None
        with self._lock:
            for position, fault in enumerate(self._faults):
                if fnmatchcase(path, fault.path):
                    self._seen[position] += 1
                    if found is None and fault.is_due(self._seen[position]):
                        found = fault
        return found
