"""The README's tables, made from the code. `python -m tests.docs` writes them into the README."""

from __future__ import annotations

import re
from pathlib import Path

from tap_sentry.about import TABLES
from tests import overview

README = Path(__file__).parent.parent / "README.md"


def marts() -> str:
    """The names of the marts by their folder; dbt's start page tells the question of each."""
    lines = ["| about | marts |", "| --- | --- |"]
    for folder, found in overview.marts():
        lines.append(f"| {folder} | {', '.join(f'`{mart.stem}`' for mart in found)} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The text with each table between its two markers made anew."""
    for name, table in {**TABLES, "marts": marts}.items():
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
