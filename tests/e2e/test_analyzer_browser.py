"""The analyzer as a person sees it: all pages clicked through in Chromium, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from orchestrate.analyzer.sitemap import PAGES
from tests import browser, histories

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.chromium() is None, reason="needs Chromium, Debian's or another"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    output = tmp_path_factory.mktemp("browser") / "output"
    histories.write(output, datetime.now(timezone.utc))
    with browser.served(output) as found:
        yield found


class TestPages:
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_open_one_after_another_without_a_complaint(
        self, dark: bool, address: str, tmp_path: Path
    ) -> None:
        with browser.opened(dark=dark) as (page, wrong):
            page.goto(address)
            browser.settle(page)
            for found in PAGES.values():
                browser.go(page, found.title)
                assert page.get_by_test_id("stException").count() == 0, found.name
                browser.picture(page, tmp_path / f"{found.name}.png")
                assert (tmp_path / f"{found.name}.png").stat().st_size > 20_000
            assert wrong == []
