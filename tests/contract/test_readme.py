"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrate.observe.parser import parser
from tap_sentry.about import TABLES
from tap_sentry.streams import STREAMS
from tap_sentry.tap import TapSentry
from tests.docs import README, ROOT, with_tables

PAGES = [README, *sorted((ROOT / "orchestrate/monitoring").rglob("*.md"))]


class TestCommands:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_of_observe_are_understood(
        self, page: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = page.read_text(encoding="utf-8")
        for words in re.findall(r"(?:`|invoke )observe ((?:[a-z]+|--?[a-z-]+)[^`\n|#]*)", text):
            known = [word for word in words.split() if word not in {"...", "<folder>"}]
            with pytest.raises(SystemExit) as left:
                parser({}).parse_args([*known, "--help"])
            assert left.value.code == 0, words
            explained = capsys.readouterr().out
            for option in re.findall(r"--[a-z-]+", words):
                assert option in explained, words


class TestTables:
    def test_are_those_of_the_code(self) -> None:
        text = README.read_text()
        assert with_tables(text) == text, "run: python -m tests.docs"

    def test_are_all_there(self) -> None:
        for name in TABLES:
            assert re.search(rf"<!-- {name} -->\n.+\n<!-- /{name} -->", README.read_text(), re.S)

    def test_are_what_about_prints(self, capsys: pytest.CaptureFixture[str]) -> None:
        TapSentry.print_about("markdown")
        printed = capsys.readouterr().out
        for table in TABLES.values():
            assert table() in printed
            assert table() in README.read_text()

    def test_of_streams_link_to_sentrys_own_pages(self) -> None:
        for stream in STREAMS:
            assert re.search(r"https://docs\.sentry\.io/\S+", stream.__doc__ or ""), stream
