"""What orchestrate/monitoring/logs tells of our logs is what the code writes and reads."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from orchestrate.ledger.dbt import events
from orchestrate.ledger.meltano import log as meltano_log
from orchestrate.ledger.meltano import metrics
from orchestrate.loader.reporting import LOGGER, Report, StructuredFormatter
from orchestrate.tracing.attributes import REGISTRY, SERVICE_NAME
from orchestrate.tracing.export import KEPT_DAYS
from orchestrate.transformer.paths import Paths
from tap_sentry import progress
from tests.project import ROOT

FOLDER = ROOT / "orchestrate/monitoring/logs"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
ALLOY = (FOLDER / "alloy.example.alloy").read_text(encoding="utf-8")
VECTOR = (FOLDER / "vector.example.yaml").read_text(encoding="utf-8")
LOGGING = yaml.safe_load((ROOT / "orchestrate/logging.yaml").read_text(encoding="utf-8"))
# The SDK's own, https://sdk.meltano.com/en/latest/implementation/logging.html
OF_THE_SDK = {"record_count", "sync_duration"}
LABELS = {"service_name", "log", "level", "environment"}


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a page as rows of cells, without their heads."""
    found = re.findall(r"^\| .*\n\| -.*\n((?:\| .*\n)+)", text, re.MULTILINE)
    return [[row.strip("| ").split(" | ") for row in table.splitlines()] for table in found]


def table(heading: str) -> list[list[str]]:
    """The first table after a line of the README."""
    _, found, rest = f"\n{README}".partition(f"\n{heading}")
    assert found, heading
    return tables(rest)[0]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


class Told(NamedTuple):
    """A metric and its tags."""

    name: str
    tags: set[str]


def told() -> Iterator[Told]:
    """What the tap logs as metrics, from the calls in its source."""
    for path in sorted((ROOT / "tap_sentry").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "log_metric":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}"
                tags = {keyword.arg for keyword in node.keywords}
                if None in tags:  # **vars(skipped)
                    tags = {field.name for field in dataclasses.fields(progress.Skipped)}
                yield Told(str(name.value), {tag for tag in tags if tag})


class TestFigures:
    LISTED = {quoted(row[0])[0]: row for row in table("### Figures")}  # noqa: RUF012

    def test_are_those_that_the_tap_and_the_sdk_write(self) -> None:
        assert set(self.LISTED) == {metric.name for metric in told()} | OF_THE_SDK

    def test_are_those_that_the_ledger_reads_and_the_trace(self) -> None:
        assert set(self.LISTED) == {*metrics._READERS, "trace_context"}

    @pytest.mark.parametrize("metric", list(told()), ids=lambda metric: metric.name)
    def test_have_their_tags_and_type(self, metric: Told) -> None:
        _, kind, tags, _ = self.LISTED[metric.name]
        assert set(quoted(tags)) == metric.tags
        assert kind == progress._TYPES.get(metric.name, "counter")


class TestRunStarted:
    def test_has_the_fields_that_the_ledger_reads(self) -> None:
        listed = {quoted(row[0])[0] for row in table("`Run started` is written by")}
        assert listed == set(meltano_log._Started.__struct_fields__)

    def test_has_the_fields_that_meltano_run_writes(self) -> None:
        source = (ROOT / "orchestrate/meltano_run.py").read_text(encoding="utf-8")
        for name, *_ in table("`Run started` is written by"):
            assert f'"{quoted(name)[0]}"' in source, name


class TestMeltanosLines:
    LISTED = {quoted(row[0])[0] for row in table("## Meltano's lines")}  # noqa: RUF012

    def test_have_every_field_that_the_ledger_reads(self) -> None:
        source = inspect.getsource(meltano_log) + inspect.getsource(metrics)
        read = set(re.findall(r'\bline(?:\.get\(|\[)"(\w+)"', source))
        assert len(read) > 8
        assert read <= self.LISTED

    def test_of_the_target_have_the_fields_that_it_gives(self) -> None:
        written: list[dict[str, Any]] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                written.append(json.loads(StructuredFormatter().format(record)))

        handler, level = Handler(), LOGGER.level
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        try:
            report = Report()
            report.stored("issues", 3, 0.5)
            report.finished()
        finally:
            LOGGER.removeHandler(handler)
            LOGGER.setLevel(level)
        fields = {name for line in written for name in line["extra"]}
        assert fields == {"rows", "rows_so_far", "seconds", "rows_by_stream"}
        assert fields | {"stream_name"} <= self.LISTED


class TestDbtsEvents:
    LISTED = {quoted(row[0])[0] for row in table("## dbt's events")}  # noqa: RUF012

    def test_have_every_field_that_the_ledger_reads(self) -> None:
        fields = msgspec.structs.fields(events._Info)
        assert {f"info.{field.encode_name}" for field in fields} <= self.LISTED

    def test_of_the_examples_are_listed(self) -> None:
        read = set(re.findall(r'"(info\.\w+)', ALLOY)) | {
            f"info.{name}" for name in re.findall(r"fields\.info\.(\w+)", VECTOR)
        }
        assert len(read) == 4
        assert read <= self.LISTED


class TestSizesAndDays:
    FILES = table("# Logs")

    def test_of_meltanos_log_are_those_of_logging_yaml(self) -> None:
        name, _, level, size, older = self.FILES[0]
        handler = LOGGING["handlers"]["file"]
        assert quoted(name) == [handler["filename"]]
        assert level == LOGGING["root"]["level"].lower()
        assert size == f"{handler['maxBytes']:,} bytes"
        assert int(older) == handler["backupCount"]
        assert f"{handler['maxBytes'] * (1 + int(older)) // 10**6} MB" in README.replace("\n", " ")

    def test_of_dbts_log_are_as_we_have_dbt_write_it(self) -> None:
        name, _, level, _, _ = self.FILES[1]
        environ = {"MELTANO_PROJECT_ROOT": str(ROOT)}
        paths = Paths.of(environ)
        paths.give_to_dbt(environ)
        assert environ["DBT_LOG_FORMAT_FILE"] == "json"
        assert level == environ["DBT_LOG_LEVEL_FILE"]
        folder = Path(environ["DBT_LOG_PATH"]).relative_to(ROOT)
        assert quoted(name) == [f"{folder}/dbt.log".replace("/demo/", "/<environment>/")]

    def test_of_dbts_log_are_dbts_own(self) -> None:
        found = next((ROOT / ".meltano").glob("**/dbt_common/events/logger.py"), None)
        if found is None:
            pytest.skip("dbt is not installed in .meltano")
        source = found.read_text(encoding="utf-8")
        _, _, _, size, older = self.FILES[1]
        assert size == f"{10 * 1024 * 1024:,} bytes"
        assert "output_file_max_bytes: Optional[int] = 10 * 1024 * 1024" in source
        assert f"backupCount={older}" in source

    def test_of_the_ledger_and_of_deliveries_are_the_defaults(self) -> None:
        project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
        (observe,) = [one for one in project["plugins"]["utilities"] if one["name"] == "observe"]
        days = {setting["env"]: setting.get("value") for setting in observe["settings"]}
        text = " ".join(README.split())
        for variable in ("OBSERVE_LOG_DAYS", "OBSERVE_RUN_DAYS"):
            assert f"`{variable}` ({days[variable]} days)" in text
        assert f"tried again for {KEPT_DAYS} days" in text


class TestOtlp:
    def test_resources_are_those_that_are_sent(self) -> None:
        rows = table("## Sending them by OTLP")
        named = {name for row in rows if row[0].startswith("resource") for name in quoted(row[0])}
        assert named == {
            "service.name",
            "deployment.environment.name",
            "service.version",
            "host.name",
        }
        assert named <= set(REGISTRY)
        assert quoted(rows[0][1]) == [SERVICE_NAME]


class TestExamples:
    @pytest.mark.parametrize("text", [ALLOY, VECTOR], ids=["alloy", "vector"])
    def test_say_first_that_they_were_not_run(self, text: str) -> None:
        first = re.match(r"(?:(?://|#).*\n)+", text)
        assert first
        assert "It was not run here" in first[0]

    @pytest.mark.parametrize("text", [ALLOY, VECTOR], ids=["alloy", "vector"])
    def test_take_every_variable_of_the_readme_and_no_other(self, text: str) -> None:
        used = set(re.findall(r'sys\.env\("(\w+)"\)|\$\{(\w+)\}', text))
        listed = {quoted(row[0])[0] for row in table("## Sending the files")}
        assert {one or other for one, other in used} == listed

    def test_of_vector_is_yaml_whose_parts_are_joined(self) -> None:
        found = yaml.safe_load(VECTOR)
        parts = {**found["sources"], **found["transforms"]}
        for part in (*found["transforms"].values(), *found["sinks"].values()):
            assert set(part["inputs"]) <= set(parts)
        ends = {name for sink in found["sinks"].values() for name in sink["inputs"]}
        assert ends == {"meltano", "dbt"}
        assert {part["type"] for part in parts.values()} == {"file", "remap", "filter"}

    def test_of_vector_read_the_files_and_the_older_ones(self) -> None:
        sources = yaml.safe_load(VECTOR)["sources"]
        files = [source["include"][0] for source in sources.values()]
        assert [_as_listed(file) for file in files] == [
            f"{quoted(row[0])[0]}*" for row in TestSizesAndDays.FILES
        ]

    def test_of_vector_have_few_labels_and_no_ids_in_them(self) -> None:
        for sink in yaml.safe_load(VECTOR)["sinks"].values():
            assert set(sink["labels"]) <= LABELS
            assert "run_id" in sink["structured_metadata"]
            assert sink["auth"]["password"] == "${LOKI_PASSWORD}"

    def test_of_alloy_read_the_newest_files(self) -> None:
        files = re.findall(r'"__path__"\s+= sys\.env\("TAP_SENTRY_OUTPUT"\) \+ "(.+)"', ALLOY)
        assert [_as_listed(f"${{TAP_SENTRY_OUTPUT}}{file}") for file in files] == [
            quoted(row[0])[0] for row in TestSizesAndDays.FILES
        ]

    def test_of_alloy_is_balanced_and_its_parts_are_joined(self) -> None:
        text = re.sub(r'"[^"\n]*"|//.*', "", ALLOY)
        for one, other in ("{}", "[]", "()"):
            assert text.count(one) == text.count(other)
        parts = {
            f"{kind}.{name}" for kind, name in re.findall(r'^([a-z_.]+) "(\w+)" \{', ALLOY, re.M)
        }
        used = set(re.findall(r"\b((?:local|loki)\.\w+\.\w+)\.(?:targets|receiver)", ALLOY))
        assert used <= parts
        sources = {part for part in parts if part.startswith("loki.source")}
        assert parts - used == sources

    def test_of_alloy_have_few_labels_and_no_ids_in_them(self) -> None:
        blocks = re.findall(r"stage\.labels \{\s+values = \{([^}]*)\}", ALLOY)
        assert len(blocks) == 2
        labels = {name for block in blocks for name in re.findall(r"(\w+)\s*=", block)}
        given = set(re.findall(r'"(\w+)"\s+= "(?:tap-sentry-pipeline|meltano|dbt)"', ALLOY))
        assert labels | given == LABELS

    def test_questions_ask_for_labels_that_are_sent(self) -> None:
        selectors = re.findall(r"^[^#\n]*?\{(service_name=[^}]*)\}", README, re.MULTILINE)
        assert len(selectors) > 6
        for selector in selectors:
            assert set(re.findall(r"(\w+)=~?\"", selector)) <= LABELS
        named = set(re.findall(r'metric="(\w+)"', README)) - {"metric_info"}
        assert named <= set(TestFigures.LISTED)


def _as_listed(file: str) -> str:
    """A path of an example as the README's table has it."""
    return file.replace("${TAP_SENTRY_OUTPUT}", "output").replace("/*/", "/<environment>/")


def test_figures_of_the_sdk_are_the_sdks() -> None:
    metrics_of_sdk = sys.modules["singer_sdk.metrics"]
    assert {metric.value for metric in metrics_of_sdk.Metric} >= OF_THE_SDK
