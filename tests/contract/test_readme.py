"""The README says what the code does."""

from __future__ import annotations

import re

import pytest

from tap_sentry.about import TABLES
from tap_sentry.streams import STREAMS
from tap_sentry.tap import TapSentry
from tests.docs import README, with_tables


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
