"""Singer messages to standard output, many at a time."""

from __future__ import annotations

import sys

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
