"""What stands around the models: owners, exposures, start page, descriptions of riddles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrate.monitoring.from_warehouse import QUERIES
from tests import overview

ROOT = Path(__file__).parents[2]
TRANSFORM = ROOT / "transform"
MARTS = sorted((TRANSFORM / "models" / "marts").rglob("*.sql"))
FOLDERS = sorted({mart.parent.name for mart in MARTS})

# True when exactly? A share of what? Where columns are pairs, the first one says it.
DOUBTFUL = re.compile(r"^(has|is)_|^(?!without_).*_(rate|share)$")


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


EXPOSURES: list[dict[str, Any]] = read(TRANSFORM / "models/exposures.yml")["exposures"]


class TestGroups:
    def test_have_an_owner_and_models(self) -> None:
        groups = {group["name"] for group in read(TRANSFORM / "models/_groups.yml")["groups"]}
        configured = read(TRANSFORM / "dbt_project.yml")["models"]["sentry"]
        assert groups == set(values("+group", configured))

    @pytest.mark.parametrize("folder", FOLDERS)
    def test_and_tags_are_known_of_each_folder_of_marts(self, folder: str) -> None:
        layer = read(TRANSFORM / "dbt_project.yml")["models"]["sentry"]
        assert layer["marts"]["+tags"] == ["marts"]
        assert layer["marts"][folder]["+tags"] == [folder]


class TestExposures:
    @pytest.mark.parametrize("exposure", EXPOSURES, ids=lambda exposure: str(exposure["name"]))
    def test_are_things_of_this_repository(self, exposure: dict[str, Any]) -> None:
        assert (ROOT / exposure["meta"]["path"]).exists()

    def test_of_the_published_copy_hold_every_mart(self) -> None:
        assert read_by("published_warehouse") == [mart.stem for mart in MARTS]

    def test_of_the_metrics_hold_the_marts_that_are_asked(self) -> None:
        assert read_by("metrics") == [mart.stem for mart in MARTS if mart.stem in QUERIES]
        assert len(read_by("metrics")) == len(QUERIES)

    def test_of_the_dashboard_hold_the_marts_of_its_sql(self) -> None:
        folder = ROOT / "orchestrate/monitoring/grafana/dashboards"
        text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.json"))
        assert read_by("business_dashboard") == [
            mart.stem for mart in MARTS if re.search(rf"\bmarts\.{mart.stem}\b", text)
        ]


class TestStartPage:
    def test_leads_to_each_mart_by_its_question(self) -> None:
        page = overview.PAGE.read_text(encoding="utf-8")
        assert overview.with_marts(page) == page, "python -m tests.overview"
        linked = re.findall(r"\(#!/model/model\.sentry\.(\w+)\)", page)
        assert sorted(linked) == sorted(mart.stem for mart in MARTS)


class TestColumns:
    @pytest.mark.parametrize("mart", MARTS, ids=lambda path: path.stem)
    def test_are_described_where_the_name_says_too_little(self, mart: Path) -> None:
        [entry] = read(mart.with_suffix(".yml"))["models"]
        silent = [
            column["name"]
            for column in entry["columns"]
            if DOUBTFUL.search(column["name"]) and not column.get("description")
        ]
        assert silent == []


def read_by(exposure: str) -> list[str]:
    """The marts that an exposure names, in the order of the folders."""
    [found] = [each for each in EXPOSURES if each["name"] == exposure]
    return [re.sub(r"^ref\('(\w+)'\)$", r"\1", reference) for reference in found["depends_on"]]


def values(key: str, tree: dict[str, Any]) -> list[Any]:
    """Of this key at any depth."""
    found = [tree[key]] if key in tree else []
    for branch in tree.values():
        found += values(key, branch) if isinstance(branch, dict) else []
    return found
