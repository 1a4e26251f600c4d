"""Singer messages from lines: decoded once, without SCHEMA messages that say nothing new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from orchestrate.loader.errors import LoadError

Message = dict[str, Any]
TYPES = frozenset({"RECORD", "STATE", "SCHEMA", "ACTIVATE_VERSION"})


class Messages:
    """Iterates over messages; afterwards holds the newest STATE and whether the input was cut.

    A last line without line break that can't be read is what a killed tap leaves: everything
    before it is good and is given out.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.last_state: Any = None
        self.cut = False
        self._lines = lines
        self._schemas: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[Message]:
        for number, line in enumerate(self._lines, start=1):
            try:
                message = decode(line)
            except ValueError as error:
                if not line.endswith(b"\n"):
                    self.cut = True
                    return
                raise LoadError(
                    f"Line {number} of the tap's output is no JSON. Something in the tap prints "
                    "to standard output; run `meltano invoke tap-sentry` to see what."
                ) from error
            kind = message.get("type") if isinstance(message, dict) else None
            if kind not in TYPES or (kind != "STATE" and "stream" not in message):
                raise LoadError(
                    f"Line {number} of the tap's output is no Singer message that can be stored "
                    f"(type {kind!r}). Allowed: {', '.join(sorted(TYPES))}."
                )
            if kind == "STATE":
                self.last_state = message["value"]
            elif kind == "SCHEMA" and not self._is_new(message["stream"], line):
                continue
            yield message

    def _is_new(self, stream: str, line: bytes) -> bool:
        if self._schemas.get(stream) == line:
            return False
        self._schemas[stream] = line
        return True


def decode(line: bytes) -> Any:
    """The value of a line of JSON.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        # Python also reads NaN, 1e400 and halves of surrogate pairs, which taps do send.
        return json.loads(line)


def encode(value: Any) -> str:
    """The value as JSON text, readable to DuckDB's JSON type."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return json.dumps(value).encode("utf-8", "replace").decode()
