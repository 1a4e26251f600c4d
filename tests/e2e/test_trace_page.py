"""The page of a run in a browser: headless Chromium, by its command line, from a folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from orchestrate.ledger.model import Record
from orchestrate.tracing.model import Span
from orchestrate.tracing.page import page
from orchestrate.tracing.spans import spans
from tests.unit.orchestrate import records

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DARK, LIGHT = 0, 1  # of Chromium's setting preferredColorScheme
PATIENCE_S = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path"),
]


class Browser:
    """Opens documents, and asks them by a script of its own what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(
        self, html: str, address: str = "", scheme: int = LIGHT, width: int = 1440
    ) -> tuple[str, list[str]]:
        """The document after its scripts, and the lines that they left on the console."""
        path = self.folder / "page.html"
        path.write_text(html, "utf-8")
        done = subprocess.run(
            [
                str(CHROMIUM),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={self.folder / 'profile'}",
                f"--window-size={width},1000",
                f"--blink-settings=preferredColorScheme={scheme}",
                "--virtual-time-budget=3000",
                "--enable-logging=stderr",
                "--dump-dom",
                f"{path.as_uri()}#{address}",
            ],
            capture_output=True,
            check=True,
            text=True,
            timeout=PATIENCE_S,
        )
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return done.stdout, console

    def ask(self, html: str, script: str, address: str = "", **how: int) -> Any:
        """What a script returns that runs in the page when the page's own has.

        The page's policy would not let it: it is left out here.
        """
        html = re.sub(r"<meta http-equiv=[^>]*>", "", html)
        asking = f"""<script>
            document.body.dataset.answer = JSON.stringify((() => {{ {script} }})());
        </script></body>"""
        found, console = self.open(html.replace("</body>", asking), address, **how)
        assert console == []
        answer = re.search(r'data-answer="([^"]*)"', found)
        assert answer, found[-2000:]
        return json.loads(unescape(answer[1]))


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


def shown(record: Record) -> str:
    return page(record, spans(record))


@pytest.fixture(scope="module")
def html() -> str:
    return shown(records.demo_like())


NAMES = "[...document.querySelectorAll('#tree .row b')].map((one) => one.textContent)"
PRESS = """
    const press = (key) => document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    document.querySelector("#tree .row").focus();
"""


class TestWaterfall:
    def test_draws_without_a_word_on_the_console(self, browser: Browser, html: str) -> None:
        dom, console = browser.open(html)
        assert console == []
        assert dom.count('role="treeitem"') == 22

    def test_hears_of_what_its_policy_forbids(self, browser: Browser, html: str) -> None:
        foreign = html.replace("</body>", "<script>document.title = 'owned'</script></body>")
        dom, console = browser.open(foreign)
        assert "Content Security Policy" in "".join(console)
        assert "<title>owned" not in dom

    def test_keeps_hostile_names_text(self, browser: Browser) -> None:
        name = "</script><img src=x onerror=\"document.title='owned'\">"
        record = records.demo_like()
        record.run.job = record.logs[0].text = name
        for node in record.nodes:
            node.name = node.message = name
        for view in ("waterfall", "logs"):
            dom, console = browser.open(shown(record), f"view={view}")
            assert console == []
            assert "<title>owned" not in dom
            assert "<img" not in dom.split('id="data"')[0]

    def test_hides_phases_until_a_node_is_opened_by_keys(self, browser: Browser, html: str) -> None:
        before, after = browser.ask(
            html,
            f"""{PRESS} const before = {NAMES};
            while (document.activeElement.dataset.kind !== "node") press("ArrowDown");
            press("ArrowRight");
            return [before, {NAMES}];""",
        )
        assert "compile" not in before
        place = after.index("stg_issues")
        assert after[place : place + 3] == ["stg_issues", "compile", "execute"]

    def test_closes_a_step_and_goes_up_by_keys(self, browser: Browser, html: str) -> None:
        names, now = browser.ask(
            html,
            f"""{PRESS} press("ArrowDown"); press("ArrowDown"); press("ArrowLeft");
            press("ArrowLeft");
            return [{NAMES}, document.activeElement.querySelector("b").textContent];""",
        )
        assert now == "tap-sentry target-duckdb"
        assert "issues" not in names
        assert "dbt:build" in names

    @pytest.mark.parametrize(
        ("address", "left", "hidden"),
        [
            ("failed=1", {"dim_release", "test unique_mart_health"}, {"stg_events", "events"}),
            ("critical=1", {"events", "fct_activity"}, {"fct_errors", "mart_release"}),
            ("notests=1", {"stg_events"}, {"test unique_mart_health", "unit test counts"}),
            ("zoom=35000000-46000000", {"stg_events"}, {"events", "mart_health"}),
            ("q=FCT_", {"fct_errors", "fct_activity"}, {"stg_events", "events"}),
        ],
    )
    def test_shows_what_the_filters_leave_and_all_above_it(
        self, browser: Browser, html: str, address: str, left: set[str], hidden: set[str]
    ) -> None:
        names = set(browser.ask(html, f"return {NAMES}", address))
        assert left | {"dbt:build"} <= names
        assert not hidden & names

    def test_says_so_when_nothing_is_left(self, browser: Browser, html: str) -> None:
        text = browser.ask(html, "return document.getElementById('tree').textContent", "q=zebra")
        assert text == "No span fits. Clear the search or a filter."

    def test_marks_the_critical_path_not_by_color_alone(self, browser: Browser, html: str) -> None:
        marked = browser.ask(
            html, "return [...document.querySelectorAll('.mark')].map((one) => one.textContent)"
        )
        assert set(marked) == {"◆"}


def span_named(name: str) -> Span:
    return next(span for span in spans(records.demo_like()) if span.name == name)


class TestPanel:
    def test_links_a_span_to_what_it_waited_for_and_what_waited_for_it(
        self, browser: Browser, html: str
    ) -> None:
        before, after, address = browser.ask(
            html,
            """const row = [...document.querySelectorAll(".row")].find(
                (one) => one.querySelector("b").textContent === "int_activity");
            row.click();
            const panel = document.getElementById("panel");
            const before = panel.textContent;
            const named = (one) => one.textContent === "fct_errors";
            [...panel.querySelectorAll("a")].find(named).click();
            return [before, panel.querySelector("h2").textContent, location.hash];""",
        )
        for said in ("stg_issues", "accepted_stg_events", "must pass first", "fct_activity"):
            assert said in before
        assert after == "fct_errors"
        assert re.fullmatch(r"#span=[0-9a-f]{16}", address)

    def test_is_open_at_the_address_of_a_span(self, browser: Browser, html: str) -> None:
        found = next(
            span for span in spans(records.demo_like()) if span.name.endswith("dim_release")
        )
        text = browser.ask(
            html, "return document.getElementById('panel').innerText", f"span={found.span_id}"
        )
        assert "Binder Error" in text
        assert found.span_id in text

    def test_tells_of_retries(self, browser: Browser, html: str) -> None:
        found = span_named("tap-sentry target-duckdb")
        text = browser.ask(
            html, "return document.getElementById('panel').innerText", f"span={found.span_id}"
        )
        assert "http.retry" in text
        assert "429 Too Many Requests" in text


class TestViews:
    def test_draw_links_critical_path_threads_and_logs(self, browser: Browser, html: str) -> None:
        found = browser.ask(
            html,
            """const found = {};
            for (const tab of document.querySelectorAll("[role=tab]")) {
                tab.click();
                found[tab.dataset.tab] = document.querySelector(".view:not([hidden])").innerText
                    || document.querySelector(".view:not([hidden]) svg").textContent;
            }
            found.thick = document.querySelectorAll("path.edge.on-path").length;
            document.getElementById("tab-dag").click();
            found.nodes = document.querySelectorAll(".node").length;
            return found;""",
        )
        assert found["nodes"] == 4 + 3 + 1 + 9
        assert "Thread-2 (worker)" in found["threads"]
        assert "overhead of" in found["path"]
        assert "1 min 00 s in all" in found["path"]
        assert "429 Too Many Requests, again in 2.5 s" in found["logs"]

    def test_light_up_a_node_s_ancestors_and_descendants(self, browser: Browser, html: str) -> None:
        lit = browser.ask(
            html,
            """const named = (name) => [...document.querySelectorAll(".node")].filter(
                (one) => one.getAttribute("aria-label").startsWith(name + ","));
            named("fct_errors")[0].dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
            return [...document.querySelectorAll(".node.lit")].map(
                (one) => one.getAttribute("aria-label").split(",")[0]);""",
            "view=dag",
        )
        streams = sources = ["issues", "events"]
        models = ["stg_issues", "stg_events", "int_activity", "fct_errors", "mart_health"]
        assert sorted(lit) == sorted([*streams, *sources, *models])

    def test_tell_the_reading_of_the_project_apart_from_nodes(self, browser: Browser) -> None:
        record = records.demo_like()
        record.invocations[0].parsed_us = records.at(34)
        sums, lanes, names = browser.ask(
            shown(record),
            f"""const inner = () => document.querySelector(".view:not([hidden])").innerText;
            const names = {NAMES};
            document.getElementById("tab-path").click();
            const sums = document.querySelector(".view:not([hidden]) .numbers").innerText;
            document.getElementById("tab-threads").click();
            return [sums, inner(), names];""",
        )
        assert "2.00 s parse" in sums
        assert "no thread told" not in lanes
        assert names[names.index("dbt build") + 1] == "parse"

    def test_draw_links_of_a_large_project(self, browser: Browser) -> None:
        record = records.only_dbt()
        names = [f"model.sentry.model_{number}" for number in range(120)]
        record.manifest_nodes = [
            records.described(name, names[:number]) for number, name in enumerate(names)
        ]
        record.nodes = [records.node(name, 35, 36) for name in names]
        drawn = browser.ask(
            shown(record), "return document.querySelectorAll('path.edge').length", "view=dag"
        )
        assert drawn == 120 * 119 / 2

    def test_fill_bars_of_every_kind_and_keep_them_when_pointed_at(self, browser: Browser) -> None:
        record = records.only_dbt()
        hook = "operation.sentry.sentry-on-run-start-0"
        record.nodes.append(records.node(hook, 33, 34, thread="main"))
        pointed = re.sub(r"button(\S*):hover", r"button\1:enabled", shown(record))
        own, grounds = browser.ask(
            pointed,
            """const style = (one) => getComputedStyle(one).backgroundColor;
            return ["button.bar", "body, .head, #theme"].map((some) =>
                [...document.querySelectorAll(some)].map(style));""",
            "view=threads",
        )
        assert len(own) == len(record.nodes)
        assert not set(own) & set(grounds)

    def test_filter_logs_by_level(self, browser: Browser, html: str) -> None:
        text = browser.ask(
            html, "return document.querySelector('.logs').innerText", "view=logs&level=error"
        )
        assert "Block run completed" in text
        assert "again in 2.5 s" not in text

    def test_say_so_when_there_is_nothing(self, browser: Browser) -> None:
        empty = Record(run=records.run())
        texts = browser.ask(
            shown(empty),
            """return [...document.querySelectorAll("[role=tab]")].map((tab) => {
                tab.click();
                return document.querySelector(".view:not([hidden])").innerText; })""",
        )
        assert "No stream and no dbt node" in texts[2]
        assert "no log line" in texts[4]

    def test_name_the_place_of_overhead(self, browser: Browser, html: str) -> None:
        rows = browser.ask(
            html,
            """return [...document.querySelectorAll(".path tbody tr td:last-child")].map(
                (one) => one.textContent);""",
            "view=path",
        )
        assert "overhead of tap-sentry target-duckdb, before events" in rows
        assert "overhead of tap-sentry target-duckdb, at its end" in rows
        assert "wait for thread, by stg_events" in rows

    def test_print_waterfall_and_critical_path_in_light(self, browser: Browser, html: str) -> None:
        printed, ground = browser.ask(
            html.replace("@media print", "@media screen"),
            """const shown = (one) => getComputedStyle(one).display !== "none";
            return [[...document.querySelectorAll(".view")].filter(shown).map(
                (one) => one.dataset.view), getComputedStyle(document.body).backgroundColor];""",
            "view=logs&theme=dark",
        )
        assert printed == ["waterfall", "path"]
        assert ground == "rgb(255, 255, 255)"

    @pytest.mark.parametrize("width", [390, 1440])
    def test_never_scroll_sideways(self, browser: Browser, html: str, width: int) -> None:
        # A window of Chromium has 500 pixels at least; a frame may have fewer.
        inner = re.sub(r"<meta http-equiv=[^>]*>", "", html)
        outer = f"""<!doctype html><html><body>
            <iframe width="{width}" height="800" srcdoc="{escape(inner)}"></iframe>
            <script>onload = () => {{
                const page = document.querySelector("iframe").contentDocument;
                const tabs = [...page.querySelectorAll("[role=tab]")];
                document.body.dataset.answer = tabs.map((tab) => {{
                    tab.click();
                    return page.documentElement.scrollWidth;
                }}).join(" ");
            }};</script></body></html>"""
        dom, console = browser.open(outer, width=1600)
        assert console == []
        found = re.search(r'<body data-answer="([\d ]+)"', dom)
        assert found
        assert [int(one) <= width for one in found[1].split()] == [True] * 5, found[1]


class TestTheme:
    GROUND = "return getComputedStyle(document.body).backgroundColor"

    def test_follows_the_reader_s_wish(self, browser: Browser, html: str) -> None:
        light = browser.ask(html, self.GROUND, scheme=LIGHT)
        dark = browser.ask(html, self.GROUND, scheme=DARK)
        assert (light, dark) == ("rgb(255, 255, 255)", "rgb(18, 22, 29)")

    def test_is_turned_by_a_button_and_kept_in_the_address(
        self, browser: Browser, html: str
    ) -> None:
        ground, address = browser.ask(
            html,
            """document.getElementById("theme").click();
            return [getComputedStyle(document.body).backgroundColor, location.hash];""",
        )
        assert (ground, address) == ("rgb(18, 22, 29)", "#theme=dark")
        assert browser.ask(html, self.GROUND, "theme=light", scheme=DARK) == "rgb(255, 255, 255)"
