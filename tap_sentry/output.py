"""Singer messages to standard output, many at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import Message, RecordMessage

_BLOCK_BYTES = 1 << 16


class BlockWriter(MsgSpecWriter):
    """Writes records in blocks of whole lines; any other message goes out at once, behind them.

    The SDK's own writer asks the system once per record, and with threads at work each of these
    calls waits for its turn to run again.
    """

    def __init__(self) -> None:
        self._block = bytearray()

    def write_message(self, message: Message) -> None:
        self._block += self.format_message(message)
        if len(self._block) >= _BLOCK_BYTES or not isinstance(message, RecordMessage):
            block, self._block = self._block, bytearray()
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()


class StateKeeper:
    """Writes STATE, and knows what it said last: the tap's own state runs ahead of that.

    Args:
        write: Writes a state.
    """

    def __init__(self, write: Callable[[Any], None]) -> None:
        self._write = write
        self._written = b"{}"

    def write_state(self, state: Any) -> None:
        """Write a state and keep a copy."""
        self._write(state)
        self.keep(state)

    def keep(self, state: Any) -> None:
        """Take a state for one that was written."""
        self._written = msgspec.json.encode(state)

    @property
    def bookmarks(self) -> dict[str, Any]:
        """By stream, as they were last written."""
        found: dict[str, Any] = msgspec.json.decode(self._written).get("bookmarks", {})
        return found
