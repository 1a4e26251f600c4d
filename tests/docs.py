"""The README's tables, made from the code. `python -m tests.docs` writes them into the README."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from orchestrate.analyzer.sitemap import PAGES
from orchestrate.monitoring import PREFIX
from orchestrate.monitoring.gathering import DECLARED
from tap_sentry.about import TABLES
from tests import overview

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ALERTS = ROOT / "orchestrate/monitoring/alerts"
RUNBOOKS = "orchestrate/monitoring/alerts/runbooks"


def marts() -> str:
    """The names of the marts by their folder; dbt's start page tells the question of each."""
    lines = ["| about | marts |", "| --- | --- |"]
    for folder, found in overview.marts():
        lines.append(f"| {folder} | {', '.join(f'`{mart.stem}`' for mart in found)} |")
    return "\n".join(lines)


def settings(utility: str) -> str:
    """The settings of a utility, by the variables that set them."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    (plugin,) = [one for one in project["plugins"]["utilities"] if one["name"] == utility]
    lines = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for setting in plugin["settings"]:
        default = str(setting.get("value", "")).removeprefix("$MELTANO_PROJECT_ROOT/")
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{setting['env']}` | {shown} | {setting['description']} |")
    return "\n".join(lines)


def metrics() -> str:
    """All metrics, each with its labels and what it counts."""
    lines = ["| metric | labels | what it is |", "| --- | --- | --- |"]
    for family in DECLARED:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        lines.append(f"| `{PREFIX}{family.metric.name}` | {labels} | {family.metric.help} |")
    return "\n".join(lines)


def alerts() -> str:
    """All alerts by the file of their rules, each with what its runbook says first."""
    lines = ["| file | alert | severity | it means |", "| --- | --- | --- | --- |"]
    for path in sorted(ALERTS.rglob("*.yml"), key=lambda path: path.stem):
        if path.parent.name == "tests":
            continue
        severities: dict[str, list[str]] = {}
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    severities.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
        runbook = (ALERTS / "runbooks" / f"{path.stem}.md").read_text(encoding="utf-8")
        for name, found in severities.items():
            meaning = re.search(rf"^## {name}\n+(.+?\.)(?:\s|$)", runbook, re.M | re.S)
            link = f"{RUNBOOKS}/{path.stem}.md#{name.lower()}"
            lines.append(
                f"| `{path.stem}` | [`{name.removeprefix('TapSentry')}`]({link}) "
                f"| {', '.join(dict.fromkeys(found))} "
                f"| {' '.join(meaning[1].split()) if meaning else '?'} |"
            )
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The text with each table between its two markers made anew."""
    for name, table in (TABLES | OTHER_TABLES).items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            rf"\1{_escaped(table())}\n\2",
            text,
            flags=re.DOTALL,
        )
    return text


def pages() -> str:
    """The analyzer's pages, each with the question that it answers."""
    lines = ["| page | it answers |", "| --- | --- |"]
    lines += [f"| `{page.name}` | {page.question} |" for page in PAGES.values()]
    return "\n".join(lines)


OTHER_TABLES: dict[str, Callable[[], str]] = {
    "marts": marts,
    "observe": partial(settings, "observe"),
    "metrics": metrics,
    "alerts": alerts,
    "analyzer": partial(settings, "analyzer"),
    "pages": pages,
}


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
