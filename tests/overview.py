"""Tables of marts on dbt's start page, made from the SQL. `python -m tests.overview` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

MODELS = Path(__file__).parent.parent / "transform" / "models"
PAGE = MODELS / "overview.md"


def with_marts(page: str) -> str:
    """The page with its section of marts made anew."""
    # dbt's page shows comments as text: headings are the markers.
    start, end = "\n## Marts\n\n", "\n\n## Metrics\n"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}{tables()}{end}{after}"


def marts() -> Iterator[tuple[str, list[Path]]]:
    """The SQL files of the marts by the name of their folder."""
    files = sorted(MODELS.glob("marts/*/*.sql"))
    for folder, found in groupby(files, lambda mart: mart.parent.name):
        yield folder, list(found)


def tables() -> str:
    """One table per folder: the question of each mart, and a link to it in dbt's documentation."""
    found = []
    for folder, files in marts():
        lines = [f"### {folder.capitalize()}", "", "| to learn | look at |", "| --- | --- |"]
        for mart in files:
            question = re.match(r"-- ([^\n]+?\?)", mart.read_text(encoding="utf-8"))
            asked = question[1] if question else "?"
            lines.append(f"| {asked} | [{mart.stem}](#!/model/model.sentry.{mart.stem}) |")
        found.append("\n".join(lines))
    return "\n\n".join(found)


if __name__ == "__main__":
    PAGE.write_text(with_marts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
