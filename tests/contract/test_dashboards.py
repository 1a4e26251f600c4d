"""The committed dashboards are what the code makes, and ask for what there is."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import yaml

from orchestrate.monitoring import PREFIX
from orchestrate.monitoring.gathering import DECLARED
from orchestrate.monitoring.model import Kind
from tests.dashboards import FOLDER, GRAFANA, OPTIONAL, Place, dashboards, places
from tests.project import ROOT

NAMES = {"overview", "tap", "dbt", "system", "business"}
# Labels that Prometheus itself gives.
OWN_LABELS = {"job", "instance"}
needs_grafanas_package = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11"
)


def all_places() -> list[Place]:
    return [place for dashboard in dashboards() for place in places(dashboard)]


def named(place: Place) -> str:
    return f"{place.dashboard['uid']}: {place.panel['title']}"


def targets(uid: str) -> Iterator[tuple[str, str]]:
    """Each query to a data source: where it stands, and its text."""
    for place in all_places():
        for target in place.panel["targets"]:
            if target["datasource"]["uid"] == uid:
                yield named(place), target.get("expr") or target["rawSql"]


def marts() -> dict[str, dict[str, str]]:
    """Columns and types of every mart, as their descriptions have them."""
    found = {}
    for path in (ROOT / "transform" / "models" / "marts").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            found[model["name"]] = {
                column["name"]: column["data_type"] for column in model["columns"]
            }
    return found


class TestFiles:
    @needs_grafanas_package
    def test_are_what_the_code_makes(self) -> None:
        from orchestrate.monitoring.grafana.__main__ import DASHBOARDS
        from orchestrate.monitoring.grafana.building import text

        made = {f"{dashboard.name}.json": text(dashboard) for dashboard in DASHBOARDS}
        committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
        stale = sorted(
            name for name in made.keys() | committed if made.get(name) != committed.get(name)
        )
        assert not stale, "run python -m orchestrate.monitoring.grafana"

    @needs_grafanas_package
    def test_survive_grafanas_own_model(self) -> None:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard

        register_default_plugins()
        for dashboard in dashboards():
            again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
            assert again == dashboard

    def test_there_is_one_for_each_subject(self) -> None:
        assert {path.stem for path in FOLDER.glob("*.json")} == NAMES

    def test_uids_are_fixed_by_the_name(self) -> None:
        assert {dashboard["uid"] for dashboard in dashboards()} == {
            f"tap-sentry-{name}" for name in NAMES
        }


class TestPanels:
    def test_have_title_description_and_unit(self) -> None:
        for place in all_places():
            panel = place.panel
            assert panel["title"], place.dashboard["uid"]
            assert panel["description"].endswith("."), named(place)
            assert panel["fieldConfig"]["defaults"]["unit"], named(place)

    def test_have_a_query_each_with_a_letter_of_its_own(self) -> None:
        for place in all_places():
            letters = [target["refId"] for target in place.panel["targets"]]
            assert letters, named(place)
            assert len(set(letters)) == len(letters), named(place)

    def test_have_numbers_of_their_own(self) -> None:
        for dashboard in dashboards():
            inner = [own for panel in dashboard["panels"] for own in panel.get("panels", [])]
            numbers = [panel["id"] for panel in (*dashboard["panels"], *inner)]
            assert len(set(numbers)) == len(numbers), dashboard["uid"]

    def test_do_not_overlap(self) -> None:
        for dashboard in dashboards():
            taken: dict[tuple[int, int], str] = {}
            for panel in dashboard["panels"]:
                at = panel["gridPos"]
                assert at["x"] + at["w"] <= 24, panel["title"]
                for cell in itertools.product(
                    range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
                ):
                    other = taken.setdefault(cell, panel["title"])
                    assert other == panel["title"], f"{panel['title']} lies on {other}"

    def test_that_may_be_empty_stand_in_a_collapsed_row(self) -> None:
        for dashboard in dashboards():
            for panel in dashboard["panels"]:
                if panel["type"] == "row":
                    optional = panel["title"].startswith(OPTIONAL)
                    assert panel["collapsed"] == optional, panel["title"]
                    assert bool(panel["panels"]) == optional, panel["title"]

    def test_link_to_dashboards_that_are_there(self) -> None:
        known = {dashboard["uid"] for dashboard in dashboards()}
        links = [link for place in all_places() for link in place.panel.get("links", [])]
        assert links
        for link in links:
            assert link["url"].removeprefix("/d/").split("?")[0] in known


class TestDataSources:
    def provisioned(self) -> dict[str, dict[str, Any]]:
        text = (GRAFANA / "provisioning" / "datasources" / "datasources.yml").read_text()
        return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}

    def test_are_provisioned_with_the_uids_and_types_that_panels_name(self) -> None:
        types = {uid: source["type"] for uid, source in self.provisioned().items()}
        for dashboard in dashboards():
            uses = [place.panel["datasource"] for place in places(dashboard)]
            uses += [
                target["datasource"] for p in places(dashboard) for target in p.panel["targets"]
            ]
            uses += [one["datasource"] for one in dashboard["templating"]["list"]]
            uses += [one["datasource"] for one in dashboard["annotations"]["list"]]
            for use in uses:
                assert types[use["uid"]] == use["type"], dashboard["uid"]

    def test_warehouse_is_the_published_copy_and_never_written(self) -> None:
        settings = self.provisioned()["warehouse"]["jsonData"]
        assert settings == {"path": "$TAP_SENTRY_WAREHOUSE", "readOnly": True}

    def test_have_secrets_from_the_environment_only(self) -> None:
        files = sorted((GRAFANA / "provisioning" / "datasources").rglob("*.yml"))
        assert len(files) == 2
        for path in files:
            for source in yaml.safe_load(path.read_text())["datasources"]:
                for value in source.get("secureJsonData", {}).values():
                    assert value.startswith("$"), path.name


class TestPromQL:
    def test_asks_for_metrics_that_are_measured_or_recorded(self) -> None:
        known = {PREFIX + family.metric.name for family in DECLARED}
        for path in (ROOT / "orchestrate" / "monitoring" / "alerts").glob("*.yml"):
            for group in yaml.safe_load(path.read_text())["groups"]:
                known |= {rule["record"] for rule in group["rules"] if "record" in rule}
        asked = [*targets("prometheus")]
        asked += [
            (dashboard["uid"], one.get("expr") or one["query"])
            for dashboard in dashboards()
            for one in (*dashboard["templating"]["list"], *dashboard["annotations"]["list"])
        ]
        for where, text in asked:
            # Labels may have such values; a recorded name has colons.
            bare = re.sub(r'"[^"]*"', "", text)
            for name in re.findall(r"[\w:]*tap_sentry_[\w:]+", bare):
                assert name in known, f"{where} asks for {name}"

    def test_asks_only_of_the_chosen_environment(self) -> None:
        of_all = {family.metric.name for family in DECLARED if "environment" not in family.labels}
        for where, text in targets("prometheus"):
            for name, selector in re.findall(rf"\b{PREFIX}(\w+)\b(\{{[^}}]*\}})?", text):
                if name not in of_all and not name.startswith("data_late"):
                    assert 'environment="$environment"' in selector, f"{where}: {name}"

    def test_never_takes_a_rate_of_a_gauge(self) -> None:
        gauges = {PREFIX + family.metric.name for family in DECLARED if family.kind is Kind.GAUGE}
        for where, text in targets("prometheus"):
            for name in re.findall(r"(?:rate|increase)\((\w+)", text):
                assert name not in gauges, where


class TestSql:
    def test_binds_against_the_marts_as_they_are_described(self) -> None:
        """Every mart and column that is asked for exists, with a type that the plugin can show."""
        connection = duckdb.connect()
        connection.execute("create schema marts")
        for mart, columns in marts().items():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"create table marts.{mart} ({listed})")
        asked = list(targets("warehouse"))
        assert len(asked) > 10
        for where, text in asked:
            filled = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > '2026-01-01'", text)
            filled = filled.replace("${service:singlequote}", "'a', 'b'")
            kinds = {str(kind) for kind in connection.sql(filled).types}
            assert "HUGEINT" not in kinds, f"{where}: cast its sums of integers"

    def test_columns_of_tables_are_those_of_the_query(self) -> None:
        for place in all_places():
            if place.panel["type"] != "table":
                continue
            titles = {one["matcher"]["options"] for one in place.panel["fieldConfig"]["overrides"]}
            (organize,) = (
                one["options"] for one in place.panel["transformations"] if one["id"] == "organize"
            )
            assert titles == set(organize["renameByName"].values()), named(place)
            (by,) = place.panel["options"]["sortBy"]
            assert by["displayName"] in titles, named(place)
            for target in place.panel["targets"]:
                for column in organize["renameByName"]:
                    if "rawSql" in target:
                        assert re.search(rf"\b{column}\b", target["rawSql"]), named(place)

    def test_of_a_time_series_has_the_period_of_the_page(self) -> None:
        for place in all_places():
            if place.panel["type"] == "timeseries":
                for target in place.panel["targets"]:
                    assert "$__timeFilter(time)" in target.get("rawSql", "$__timeFilter(time)")
