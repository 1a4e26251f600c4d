"""The analyzer in a real browser: served on a free port, looked at in headless Chromium.

`python -m tests.browser FOLDER` writes a picture of every page, light and dark.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import requests
from playwright.sync_api import ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from orchestrate.analyzer.sitemap import PAGES
from tests import histories
from tests.otlp import free_port

ROOT = Path(__file__).parent.parent
SIZE = ViewportSize(width=1400, height=1000)
# What Streamlit itself or the browser says, and no page of ours can help.
_NOT_OURS = ("GPU stall", "Unrecognized feature", "allow-scripts and allow-same-origin")


def chromium() -> str | None:
    """The program, where there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def served(output: Path) -> Iterator[str]:
    """The address of the app that looks at a project's folder `output`.

    Raises:
        TimeoutError: If it doesn't answer within a minute.
    """
    port = free_port()
    arguments = ["--output", str(output), "serve", "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrate.analyzer", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as serving:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/_stcore/health")
            yield address
        finally:
            serving.send_signal(2)
            serving.wait(timeout=30)


def wait_for(address: str) -> None:
    """Wait until an address answers.

    Raises:
        TimeoutError: If it does not within a minute.
    """
    for _ in range(240):
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.25)
    raise TimeoutError(f"{address} does not answer")


@contextmanager
def opened(*, dark: bool = False) -> Iterator[tuple[Page, list[str]]]:
    """A page of a browser, and what is wrong by its console: that list grows meanwhile."""
    wrong: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(
            text in message.text for text in _NOT_OURS
        ):
            wrong.append(f"{message.type}: {message.text}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        yield page, wrong
        browser.close()


def go(page: Page, title: str) -> None:
    """Click a page of that title in the navigation, and wait for it."""
    page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
    expect(page.locator("h1")).to_have_text(title)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the app has run to its end, and has drawn what it had to."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(
        timeout=120_000
    )
    # Figures and tables are drawn a moment later.
    page.wait_for_function(
        "() => ![...document.querySelectorAll('[data-testid=stSkeleton]')]"
        ".some(element => element.checkVisibility())",
        timeout=120_000,
    )
    page.wait_for_timeout(700)


def picture(page: Page, file: Path) -> None:
    """The whole page, however high it is."""
    main = page.locator('[data-testid="stMain"]')
    height = int(main.evaluate("element => element.scrollHeight")) + 60
    page.set_viewport_size(ViewportSize(width=SIZE["width"], height=max(height, SIZE["height"])))
    settle(page)
    page.screenshot(path=file)
    page.set_viewport_size(SIZE)


def main(folder: Path) -> None:
    """Write a picture of each page of the invented month, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        output = Path(name, "output")
        histories.write(output, datetime.now(timezone.utc))
        with served(output) as address:
            for dark in (False, True):
                with opened(dark=dark) as (page, wrong):
                    page.goto(address)
                    settle(page)
                    for found in PAGES.values():
                        go(page, found.title)
                        picture(page, folder / f"{found.name}{'-dark' if dark else ''}.png")
                    print("\n".join(wrong) or "no complaint of the console")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
