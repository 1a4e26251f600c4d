"""The analyzer as a person sees it: all pages clicked through in Chromium, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

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

    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_have_texts_that_can_be_read(self, dark: bool, address: str) -> None:
        """Contrast, labels, alternative texts: by axe's rules of WCAG 2 A and AA."""
        rules = {"runOnly": ["color-contrast", "image-alt", "label", "select-name", "svg-img-alt"]}
        with browser.opened(dark=dark) as (page, _):
            for found in PAGES.values():
                page.goto(f"{address}/{found.name}")
                browser.settle(page)
                result = Axe().run(page, context='[data-testid="stMain"]', options=rules)
                assert result.violations_count == 0, result.generate_report()

    def test_keep_the_choice_when_another_is_opened(self, address: str) -> None:
        with browser.opened() as (page, _):
            page.goto(f"{address}/cost?environment=dev&currency=EUR")
            browser.settle(page)
            assert "€" in page.get_by_test_id("stMetricValue").first.inner_text()
            browser.go(page, "Trends")
            assert "environment=dev" in page.url
            browser.go(page, "Cost")
            assert "currency=EUR" in page.url

    def test_can_be_used_by_the_keyboard_alone(self, address: str) -> None:
        with browser.opened() as (page, _):
            page.goto(f"{address}/overview")
            browser.settle(page)
            for _press in range(40):
                page.keyboard.press("Tab")
                focused = page.evaluate("document.activeElement.innerText || ''")
                if focused.strip().endswith("Trends"):
                    break
            page.keyboard.press("Enter")
            expect(page.locator("h1")).to_have_text("Trends")

    def test_give_their_tables_away(self, address: str) -> None:
        with browser.opened() as (page, _):
            page.goto(f"{address}/overview")
            browser.settle(page)
            with page.expect_download() as download:
                page.get_by_role("button", name="CSV").first.click()
            assert download.value.suggested_filename.startswith("overview-")
            assert len(Path(download.value.path()).read_text().splitlines()) > 1
