"""The one table of attribute names: what is sent is in it, and as the conventions have it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating
from opentelemetry.semconv._incubating.attributes.cicd_attributes import (
    CicdPipelineActionNameValues,
    CicdPipelineResultValues,
    CicdPipelineTaskRunResultValues,
)
from opentelemetry.semconv.attributes.error_attributes import ErrorTypeValues

from orchestrate.ledger.model import Record, Result
from orchestrate.tracing.attributes import OURS, REGISTRY, first_line, known, resource, without_sql
from orchestrate.tracing.results import (
    OTHER_ERROR,
    error_type,
    node_result,
    run_result,
)
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records


def noisy() -> Record:
    """A run of more warnings than its step takes."""
    record = records.demo_like()
    record.logs = [records.log(number, 40, "warning", "dbt", "again") for number in range(60)]
    return record


EXAMPLES = [
    records.demo_like(),
    records.killed(),
    records.only_dbt(),
    records.retried(),
    records.freshness(),
    noisy(),
]


def emitted() -> Iterator[tuple[str, Any]]:
    """Every attribute of the examples: of their resources, spans, events and links."""
    for record in EXAMPLES:
        yield from resource(record, {}).items()
        for span in spans(record):
            yield from span.attributes.items()
            for event in span.events:
                yield from event.attributes.items()
            for link in span.links:
                yield from link.attributes.items()


def conventional() -> set[str]:
    """The names that OpenTelemetry's conventions define."""
    return {
        value
        for package in (stable, incubating)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, str)
    }


class TestRegistry:
    def test_has_every_attribute_that_is_sent_with_its_type(self) -> None:
        wrong = {
            (name, type(value).__name__)
            for name, value in emitted()
            if name not in REGISTRY or type(value) is not REGISTRY[name].type
        }
        assert wrong == set()

    def test_has_no_attribute_that_is_never_sent(self) -> None:
        assert set(REGISTRY) - {name for name, _ in emitted()} == set()

    def test_lists_hold_text_and_nothing_is_empty(self) -> None:
        for name, value in emitted():
            assert value not in ("", [], None), name
            if isinstance(value, list):
                assert {type(item) for item in value} == {str}, name

    def test_names_that_are_not_ours_are_those_of_the_conventions(self) -> None:
        borrowed = {name for name in REGISTRY if not name.startswith(OURS)}
        assert borrowed - conventional() == set()

    def test_names_that_are_ours_are_not_those_of_the_conventions(self) -> None:
        assert {name for name in REGISTRY if name.startswith(OURS)} & conventional() == set()

    def test_holds_no_statement(self) -> None:
        texts = [str(value) for _, value in emitted()]
        assert [text for text in texts if "select" in text or "LINE " in text] == []
        assert "db.query.text" not in REGISTRY


class TestResults:
    def test_of_runs_and_nodes_are_words_of_the_convention(self) -> None:
        runs = {run_result(result) for result in Result}
        assert runs <= {value.value for value in CicdPipelineResultValues}
        words = ["success", "pass", "warn", "fail", "error", "skipped", "killed", "no-op"]
        nodes = {node_result(word) for word in words}
        assert nodes == {"success", "failure", "error", "skip"}
        assert nodes <= {value.value for value in CicdPipelineTaskRunResultValues}

    def test_of_a_kill_is_an_error_and_of_a_failure_is_not(self) -> None:
        assert run_result(Result.KILLED) == node_result("killed") == "error"
        assert run_result(Result.FAILURE) == node_result("runtime error") == "failure"

    def test_are_none_while_under_way_or_in_words_yet_unknown(self) -> None:
        assert run_result(None) is node_result(None) is node_result("novel") is None

    def test_action_and_other_errors_are_words_of_the_convention(self) -> None:
        [action] = {value for name, value in emitted() if name == "cicd.pipeline.action.name"}
        assert action == CicdPipelineActionNameValues.RUN.value
        assert ErrorTypeValues.OTHER.value == OTHER_ERROR

    def test_have_no_class_of_error_unless_something_went_wrong(self) -> None:
        assert error_type(None, "text") is error_type(Result.SUCCESS, "exit code: 1", 1) is None
        assert error_type(Result.FAILURE, None, 2) == "exit_code_2"


class TestMessages:
    def test_begin_with_their_first_line(self) -> None:
        assert first_line("\n  Database Error\n  more") == "Database Error"
        assert first_line(None) == first_line(" \n") == ""

    def test_are_bounded(self) -> None:
        assert len(first_line("x" * 9_999)) == len(without_sql("x" * 9_999)) == 2_000

    @pytest.mark.parametrize(
        ("text", "rest"),
        [
            ("Parser Error\n\nLINE 1: selec 1\n        ^", "Parser Error"),
            ('Error\n  LINE 12: from "a"\n     ^^^\n  in x.sql', "Error\n  in x.sql"),
            ("configured to fail if != 0", "configured to fail if != 0"),
            (None, ""),
        ],
    )
    def test_lose_the_statement_they_quote(self, text: str | None, rest: str) -> None:
        assert without_sql(text) == rest

    def test_of_nothing_are_no_attribute_and_numbers_of_zero_are(self) -> None:
        assert known({"a": None, "b": "", "c": [], "d": 0, "e": 0.0}) == {"d": 0, "e": 0.0}


class TestResource:
    def test_says_what_ran_where(self) -> None:
        assert resource(records.demo_like(), {}) == {
            "service.name": "tap-sentry-pipeline",
            "service.version": "55d7fe2c43333c09922a29db2e160875f34e0a56",
            "deployment.environment.name": "demo",
            "host.name": "worker-1",
        }

    def test_leaves_out_what_is_not_known(self) -> None:
        record = records.only_dbt()
        record.run.environment = None
        assert resource(record, {}) == {"service.name": "tap-sentry-pipeline"}

    def test_takes_the_standard_variables(self) -> None:
        given = {
            "OTEL_RESOURCE_ATTRIBUTES": "team=data%20platform, host.name=h1,service.name=a,x,=y"
        }
        found = resource(records.demo_like(), given)
        assert found["team"] == "data platform"
        assert found["host.name"] == "h1"
        assert found["service.name"] == "a"
        assert not {"x", ""} & set(found)
        named = resource(records.demo_like(), {**given, "OTEL_SERVICE_NAME": "b"})
        assert named["service.name"] == "b"
        assert resource(records.demo_like(), {"OTEL_SERVICE_NAME": ""})["service.name"] == (
            "tap-sentry-pipeline"
        )
