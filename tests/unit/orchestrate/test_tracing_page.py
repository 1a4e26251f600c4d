"""The page of a run as text: what it says, that nothing in it becomes code, its colours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orchestrate.ledger.model import Record, Result
from orchestrate.tracing import page as page_module
from orchestrate.tracing.critical_path import critical_path
from orchestrate.tracing.page import SYMBOLS, page, seconds
from orchestrate.tracing.page_data import data
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records

FOLDER = Path(page_module.__file__).parent
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;\u2028]]>"


class Document(HTMLParser):
    """Tags with their attributes in order, and the text inside of each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img"}:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def shown(record: Record) -> Document:
    return Document(page(record, spans(record)))


def drawn(record: Record) -> dict[str, Any]:
    found = spans(record)
    return data(record, found, critical_path(found))


def hostile() -> Record:
    """Every text of the run is made to break out of its place."""
    record = records.demo_like()
    record.run.job = record.run.error = record.run.branch = record.run.host = HOSTILE
    record.run.environment = record.run.trigger = HOSTILE
    assert record.previous is not None
    record.previous.run_id = HOSTILE
    record.steps[1].name = record.steps[1].error = HOSTILE
    record.streams[0].stream = HOSTILE
    record.retries[0].reason = HOSTILE
    for node in record.nodes:
        node.name = node.message = HOSTILE
    record.logs[0].text = record.logs[0].source = HOSTILE
    return record


class TestPage:
    def test_asks_nothing_of_any_network(self) -> None:
        document = shown(records.demo_like())
        asked = [
            value
            for _, attributes in document.tags
            for name, value in attributes.items()
            if name in {"src", "href", "action", "srcset", "poster"}
        ]
        assert asked
        assert [value for value in asked if not (value or "").startswith(("#", "data:,"))] == []
        text = "".join(path.read_text("utf-8") for path in FOLDER.glob("page*.[jch]*s*"))
        assert re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", text) == []

    def test_lets_only_its_own_script_and_style_run(self) -> None:
        text = page(records.demo_like(), spans(records.demo_like()))
        policy = next(
            attributes["content"] or ""
            for attributes in Document(text).named("meta")
            if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        for kind, tag in (("script-src", "<script>"), ("style-src", "<style>")):
            body = text.split(tag)[1].split(tag.replace("<", "</"))[0]
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            assert f"{kind} 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy

    def test_keeps_names_messages_and_logs_text(self) -> None:
        document = shown(hostile())
        assert len(document.named("script")) == 2
        assert document.named("img") == []
        assert HOSTILE in document.texts["h1"][0]
        inside = json.loads(document.texts["script"][0])
        assert HOSTILE in {span["name"] for span in inside["spans"]}
        assert inside["logs"][0][2:] == [HOSTILE, HOSTILE]

    def test_holds_every_text_where_nothing_can_end_its_script(self) -> None:
        text = page(hostile(), spans(hostile()))
        inside = text.split('id="data">')[1].split("</script>")[0]
        assert json.loads(inside)
        assert not set("<>&\u2028\u2029") & set(inside)

    @pytest.mark.parametrize(
        ("result", "badge"),
        [
            (Result.SUCCESS, "✓ success"),
            (Result.FAILURE, "✕ failure"),
            (Result.TIMEOUT, "✕ timeout"),
            (Result.KILLED, "■ killed"),
            (None, "… running"),
        ],
    )
    def test_says_the_result_by_word_and_symbol(self, result: Result | None, badge: str) -> None:
        record = records.demo_like()
        record.run.result = result
        assert f">{badge}</span>" in page(record, spans(record))

    def test_counts_what_the_run_did(self) -> None:
        text = page(records.demo_like(), spans(records.demo_like()))
        for said in (
            "<b>4</b> streams",
            "<b>377</b> rows",
            "<b>10</b> requests",
            "<b>2</b> retries",
            "✕ 1 failed",
            "! 1 warned",
            "<b>2</b> parts that Sentry would not give",
        ):
            assert said in text

    def test_compares_with_the_run_before(self) -> None:
        text = page(records.demo_like(), spans(records.demo_like()))
        assert "✓ success</b> in 1 min 40 s (this one 40.0 s shorter)" in text
        assert "No earlier run" in page(records.only_dbt(), spans(records.only_dbt()))

    def test_tells_of_a_killed_run_how_long_it_was_heard_of(self) -> None:
        text = page(records.killed(), spans(records.killed()))
        assert "<dt>Last heard after</dt><dd>43.0 s</dd>" in text
        assert "<dt>Duration</dt>" not in text

    def test_lists_what_broke_innermost_with_its_message(self) -> None:
        links = [
            text
            for (tag, attributes), text in zip(
                [one for one in shown(records.demo_like()).tags if one[0] == "a"],
                shown(records.demo_like()).texts["a"],
                strict=True,
            )
            if "data-span" in attributes
        ]
        assert links == ["✕ dim_release", "✕ unique_mart_health"]
        text = page(records.demo_like(), spans(records.demo_like()))
        assert "Binder Error: Referenced column &quot;secret_column&quot; not found" in text
        assert "Got 3 results, configured to fail if != 0" in text

    def test_names_the_first_of_many_failures_and_counts_the_rest(self) -> None:
        record = records.demo_like()
        for node in record.nodes:
            node.status = "error"
        listed = page(record, spans(record)).split('class="broken"')[1].split("</section>")[0]
        assert listed.count("<a href") == 8
        assert "and 6 more" in listed

    def test_shows_the_steps_where_no_script_runs(self) -> None:
        text = page(records.demo_like(), spans(records.demo_like()))
        table = text.split("<noscript>")[1].split("</noscript>")[0]
        assert "<td>tap-sentry target-duckdb</td><td>✓ success</td><td>29.0 s</td>" in table
        assert "<td>✕ failure</td><td>28.0 s</td><td>`dbt build` failed with" in table

    def test_is_made_of_a_run_that_left_next_to_nothing(self) -> None:
        record = Record(run=records.run(job="", planned_steps=[], ended_us=None, result=None))
        assert f"<h1>{record.run.run_id}</h1>" in page(record, [])
        assert f"<h1>{record.run.run_id}</h1>" in page(record, spans(record))

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (0, "0 ms"),
            (0.0421, "42 ms"),
            (0.84, "0.84 s"),
            (9.9951, "10.0 s"),
            (59.96, "1 min 00 s"),
            (185, "3 min 05 s"),
            (3725, "1 h 02 min"),
        ],
    )
    def test_tells_durations_for_people(self, given: float, told: str) -> None:
        assert seconds(given) == told


def named(drawing: dict[str, Any], name: str) -> dict[str, Any]:
    return next(span for span in drawing["spans"] if span["name"] == name)


class TestData:
    def test_names_parents_before_their_children(self) -> None:
        for place, span in enumerate(drawn(records.demo_like())["spans"]):
            assert span.get("up", -1) < place

    def test_holds_what_a_node_waited_for_tests_too(self) -> None:
        drawing = drawn(records.demo_like())
        node = named(drawing, "int_activity")
        names = {drawing["spans"][place]["name"] for place in node["after"]}
        assert {"stg_issues", "stg_events", "accepted_stg_events"} <= names
        assert {drawing["spans"][place]["name"] for place in node["reads"]} == {
            "stg_issues",
            "stg_events",
        }

    def test_tells_states_apart(self) -> None:
        drawing = drawn(records.demo_like())
        states = {span["name"]: span["state"] for span in drawing["spans"]}
        assert states["stg_issues"] == "ok"
        assert states["accepted_stg_events"] == "warned"
        assert states["dim_release"] == "failed"
        assert states["mart_release"] == "skipped"

    def test_does_not_call_a_reused_node_skipped(self) -> None:
        record = records.demo_like()
        record.nodes[4].status = "reused"
        drawing = drawn(record)
        states = {span["name"]: span["state"] for span in drawing["spans"]}
        assert states[record.nodes[4].name] == "reused"
        killed = {span["name"]: span["state"] for span in drawn(records.killed())["spans"]}
        assert killed["int_activity"] == "killed"

    def test_blames_the_last_phase_of_a_failed_node(self) -> None:
        drawing = drawn(records.demo_like())
        place = drawing["spans"].index(named(drawing, "dim_release"))
        phases = {
            span["name"]: span["state"] for span in drawing["spans"] if span.get("up") == place
        }
        assert phases == {"compile": "ok", "execute": "failed"}

    def test_leaves_out_lines_that_quote_a_statement(self) -> None:
        assert "select secret_column" not in json.dumps(drawn(records.demo_like()))

    def test_leads_from_streams_through_sources_to_models(self) -> None:
        edges = set(self.edges(drawn(records.demo_like())))
        assert ("stream issues", "source issues") in edges
        assert ("source issues", "model stg_issues") in edges
        # Past an ephemeral model that did not run itself.
        assert ("source projects", "model dim_project") in edges
        assert ("model fct_errors", "model mart_health") in edges

    def test_leads_from_what_an_earlier_invocation_built_to_what_a_later_one_reads(self) -> None:
        record = records.demo_like()
        later = records.invocation(started_us=records.at(53.9), command="run")
        later.invocation_id = "later"
        [mart] = [node for node in record.nodes if node.name == "mart_health"]
        mart.invocation_id = "later"
        mart.started_us = records.at(54)
        record.invocations.append(later)
        drawing = drawn(record)
        edges = set(self.edges(drawing))
        assert ("model fct_errors", "model mart_health") in edges
        assert ("seed team_names", "model mart_health") in edges
        types = {node["name"]: node["type"] for node in drawing["graph"]["nodes"]}
        assert types["fct_errors"] == "model"

    def test_draws_no_stream_of_this_run_for_what_an_earlier_one_fed(self) -> None:
        record = records.demo_like()
        record.steps[0].started_us = record.steps[0].ended_us = records.at(59)
        earlier = records.stream("issues", -3000, -2990)
        earlier.run_id = records.EARLIER_RUN_ID
        record.fed_before, record.fed_traces = [earlier], {records.EARLIER_RUN_ID: "1" * 32}
        drawing = drawn(record)
        assert ("stream issues", "source issues") not in self.edges(drawing)
        [[trace, *_]] = named(drawing, "stg_issues")["elsewhere"]
        assert trace == "1" * 32

    def test_tells_the_reading_of_the_project_as_a_part_of_dbt(self) -> None:
        record = records.demo_like()
        record.invocations[0].parsed_us = records.at(34)
        drawing = drawn(record)
        parse = named(drawing, "parse")
        assert (parse["kind"], parse["type"], parse["state"]) == ("phase", "parse", "ok")
        assert drawing["spans"][parse["up"]]["name"] == "dbt build"

    def test_folds_tests_into_the_model_that_they_are_about(self) -> None:
        drawing = drawn(records.demo_like())
        tests = {
            node["name"]: [drawing["spans"][place]["name"] for place in node.get("tests", [])]
            for node in drawing["graph"]["nodes"]
        }
        assert tests["stg_issues"] == ["not_null_stg_issues"]
        assert tests["mart_health"] == ["unique_mart_health"]
        assert tests["int_activity"] == ["counts"]
        assert "unique_mart_health" not in tests

    def test_folds_a_test_of_two_models_into_the_one_it_names_first(self) -> None:
        record = records.demo_like()
        for node in record.manifest_nodes:
            if node.name == "not_null_stg_issues":
                node.depends_on = ["model.sentry.stg_events", "model.sentry.stg_issues"]
        for found in record.nodes:
            if found.name == "not_null_stg_issues":
                found.name = "relationships_stg_issues_id__ref_stg_events_"
        nodes = {node["name"]: node for node in drawn(record)["graph"]["nodes"]}
        assert len(nodes["stg_issues"]["tests"]) == 1
        assert len(nodes["stg_events"]["tests"]) == 1

    def test_draws_sources_of_which_only_the_age_was_asked(self) -> None:
        nodes = drawn(records.freshness())["graph"]["nodes"]
        assert {(node["name"], node["age"]) for node in nodes} == {
            ("issues", "pass"),
            ("events", "error"),
        }

    def test_covers_the_run_by_its_critical_path(self) -> None:
        drawing = drawn(records.demo_like())
        assert sum(part["for"] for part in drawing["path"]) == drawing["length"]
        assert {part.get("wait") for part in drawing["path"]} >= {None, "overhead"}

    @staticmethod
    def edges(drawing: dict[str, Any]) -> Iterator[tuple[str, str]]:
        names = [f"{node['type']} {node['name']}" for node in drawing["graph"]["nodes"]]
        for above, below in drawing["graph"]["edges"]:
            yield names[above], names[below]


class TestScript:
    def test_has_the_symbols_of_the_header(self) -> None:
        text = (FOLDER / "page.js").read_text("utf-8")
        found = re.search(r"const SYMBOLS = \{(.*?)\};", text)
        assert found
        assert dict(re.findall(r'(\w+): "(.)"', found[1])) == SYMBOLS


def luminance(color: tuple[float, float, float]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palette(theme: int) -> dict[str, tuple[float, float, float]]:
    text = (FOLDER / "page.css").read_text("utf-8")
    found = re.findall(r"--([\w-]+): light-dark\(#(\w{6}), #(\w{6})\)", text)
    return {name: rgb(colors[theme]) for name, *colors in found}


def rgb(code: str) -> tuple[float, float, float]:
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def mixed(
    over: tuple[float, float, float], under: tuple[float, float, float], share: float
) -> tuple[float, float, float]:
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(over, under, strict=True))
    return red, green, blue


def number(pattern: str, file: str) -> float:
    found = re.search(pattern, (FOLDER / file).read_text("utf-8"))
    assert found, pattern
    return float(found[1])


STATES = tuple(SYMBOLS)
BARS = ("stream", "model", "test", "data", "group", "failed", "killed")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
class TestPalette:
    """WCAG AA: 4.5 for text, 3 for what is drawn."""

    def test_can_be_read_as_text_on_page_and_surface(self, theme: int) -> None:
        colors = palette(theme)
        for name in ("text", "muted", "accent", *STATES):
            for ground in ("bg", "surface"):
                assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)

    def test_can_be_read_inside_of_bars(self, theme: int) -> None:
        colors = palette(theme)
        for name in BARS:
            assert contrast(colors["on-bar"], colors[name]) >= 4.5, name

    def test_can_be_read_on_a_selected_row(self, theme: int) -> None:
        colors = palette(theme)
        share = number(r"var\(--accent\) (\d+)%, var\(--bg\)", "page.css") / 100
        chosen = mixed(colors["accent"], colors["bg"], share)
        for name in ("text", "muted", *STATES):
            assert contrast(colors[name], chosen) >= 4.5, name

    def test_can_be_read_on_the_hottest_node(self, theme: int) -> None:
        colors = palette(theme)
        share = number(r"const HOTTEST = ([\d.]+);", "page_graph.js")
        hottest = mixed(colors["heat"], colors["bg"], share)
        for name in ("text", "ok", "failed", "warned", "killed"):
            assert contrast(colors[name], hottest) >= 4.5, name

    def test_shows_bars_against_the_page(self, theme: int) -> None:
        colors = palette(theme)
        for name in BARS:
            assert contrast(colors[name], colors["bg"]) >= 3, name
