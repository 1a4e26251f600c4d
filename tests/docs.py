"""The README's tables, made from the code. `python -m tests.docs` writes them into the README."""

from __future__ import annotations

import re
from pathlib import Path

from tap_sentry.about import TABLES

README = Path(__file__).parent.parent / "README.md"


def with_tables(text: str) -> str:
    """The text with each table between its two markers made anew."""
    for name, table in TABLES.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            rf"\1{_escaped(table())}\n\2",
            text,
            flags=re.DOTALL,
        )
    return text


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
