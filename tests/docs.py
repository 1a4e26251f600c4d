"""The README's tables, made from the code. `python -m tests.docs` writes them into the README."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tap_sentry.about import TABLES
from tests import overview

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def marts() -> str:
    """The names of the marts by their folder; dbt's start page tells the question of each."""
    lines = ["| about | marts |", "| --- | --- |"]
    for folder, found in overview.marts():
        lines.append(f"| {folder} | {', '.join(f'`{mart.stem}`' for mart in found)} |")
    return "\n".join(lines)


def observe() -> str:
    """The settings of the utility `observe`, by the variables that set them."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    (plugin,) = [one for one in project["plugins"]["utilities"] if one["name"] == "observe"]
    lines = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for setting in plugin["settings"]:
        default = str(setting.get("value", "")).removeprefix("$MELTANO_PROJECT_ROOT/")
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{setting['env']}` | {shown} | {setting['description']} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The text with each table between its two markers made anew."""
    for name, table in {**TABLES, "marts": marts, "observe": observe}.items():
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
