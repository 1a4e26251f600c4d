"""What ends a load. Messages never hold a row's content."""

from __future__ import annotations


class LoadError(Exception):
    """The message says what was asked, what is wrong and what to do, in one line."""


class StoppedError(BaseException):
    """A signal asked the load to end. Not an Exception, so that nothing on the way keeps it."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"stopped by signal {signal}")
        self.exit_code = 128 + signal
