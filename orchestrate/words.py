"""What is told to a person."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Tell a person something; standard output is for what was asked."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def counted(number: int, noun: str) -> str:
    """Such as `1 run`, `2 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
