"""The README says what the code does."""

from __future__ import annotations

import re

from tests.docs import README, TABLES, with_tables


class TestTables:
    def test_are_those_of_the_code(self) -> None:
        text = README.read_text()
        assert with_tables(text) == text, "run: python -m tests.docs"

    def test_are_all_there(self) -> None:
        for name in TABLES:
            assert re.search(rf"<!-- {name} -->\n.+\n<!-- /{name} -->", README.read_text(), re.S)
