"""`meltano run tap-sentry target-duckdb dbt`, as a user types it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
import yaml

from tap_sentry.demo import DemoSentry, World, serve
from tests import project
from tests.project import ROOT, Project

pytestmark = pytest.mark.slow

RUN = ("run", "tap-sentry", "target-duckdb", "dbt")


@pytest.fixture(scope="module")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project.copy(tmp_path_factory.mktemp("meltano"))


class Sentry:
    """A demo over HTTP whose clock stands still until the test moves it."""

    def __init__(self) -> None:
        # Older than the lag at the end of a sync, so that all of the world is to be read.
        self.now = datetime.now(timezone.utc) - timedelta(hours=3)
        self.demo = DemoSentry(World(clock=lambda: self.now), limits=None)


@pytest.fixture
def sentry(meltano: Project) -> Iterator[tuple[Sentry, dict[str, str]]]:
    meltano.reset()
    source = Sentry()
    with serve(source.demo) as url:
        yield (
            source,
            {
                "TAP_SENTRY_BASE_URL": url,
                "TAP_SENTRY_API_TOKEN": "sntryu_test",
                # What the world brings after a run is late by the machine's clock.
                "TAP_SENTRY_LOOKBACK_MINUTES": "240",
            },
        )


class TestRun:
    def test_fills_every_table_with_what_the_world_holds_and_none_twice(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        source, environment = sentry
        first = meltano.meltano(*RUN, **environment)
        assert first.returncode == 0, first.stdout[-4000:]
        before = counts(meltano)
        assert meltano.tables().keys() - before.keys() == {"release_health", "usage_outcomes"}
        assert before == expected_counts(source.demo.world)
        assert "sntryu_test" not in first.stdout
        source.now += timedelta(hours=2, minutes=50)
        second = meltano.meltano(*RUN, **environment)
        assert second.returncode == 0, second.stdout[-4000:]
        found, expected = counts(meltano), expected_counts(source.demo.world)
        assert found["spans"] > before["spans"]
        # What Sentry forgot meanwhile stays in the warehouse.
        assert all(found[stream] >= expected[stream] for stream in expected)
        assert duplicates(meltano) == {}

    def test_ends_with_a_table_of_streams_and_marts(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        printed = meltano.meltano(*RUN, **sentry[1]).stdout
        for name in ("issues", "spans", "user_engagement", "span_volume_daily"):
            assert re.search(rf"\b{name}\b +[\d,]*\d +\d{{4}}-\d\d-\d\d", printed), name

    def test_publishes_a_copy_that_can_be_read_while_the_next_run_writes(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        assert meltano.meltano(*RUN, **sentry[1]).returncode == 0
        published = meltano.folder / "output/demo/published/warehouse.duckdb"
        with duckdb.connect(str(published), read_only=True) as reader:
            assert meltano.meltano(*RUN, **sentry[1]).returncode == 0
            answer = reader.execute("select count(*) from marts.user_engagement").fetchone()
            assert answer is not None
            assert answer[0] > 0

    def test_a_locked_warehouse_is_one_clear_line_and_loses_nothing(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        source, environment = sentry
        assert meltano.meltano(*RUN, **environment).returncode == 0
        with duckdb.connect(str(meltano.warehouse)):
            refused = meltano.meltano(*RUN, **environment)
        assert refused.returncode != 0
        assert "open in another process" in refused.stdout
        assert "Traceback" not in refused.stdout
        assert meltano.meltano(*RUN, **environment).returncode == 0
        assert counts(meltano) == expected_counts(source.demo.world)

    def test_a_wrong_setting_is_one_clear_line(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        refused = meltano.meltano(*RUN, **sentry[1], TAP_SENTRY_SAMPLE_FRACTION="2")
        assert refused.returncode != 0
        assert "sample_fraction is" in refused.stdout
        assert "Traceback" not in refused.stdout


class TestKilled:
    @pytest.mark.parametrize("victim", ["tap-sentry", "target-duckdb-launcher", "meltano"])
    def test_then_run_again_gives_the_tables_of_an_undisturbed_run(
        self, victim: str, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        source, environment = sentry
        extract = ("run", "--force", "tap-sentry", "target-duckdb")
        assert meltano.meltano(*extract, **environment).returncode == 0
        undisturbed = meltano.tables()
        meltano.reset()

        source.demo.latency_s = 0.02
        asked = len(source.demo.requests)
        run = meltano.start(*extract, **environment)
        until(lambda: len(source.demo.requests) > asked + 120)
        for process in victims(run.pid, victim):
            process.kill()
        run.communicate(timeout=60)
        assert run.returncode != 0
        until(lambda: not writers(meltano))

        source.demo.latency_s = 0.0
        assert meltano.meltano(*extract, **environment).returncode == 0
        assert meltano.tables() == undisturbed


class TestRealSentry:
    def test_takes_two_variables_in_the_env_file(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        example = (meltano.folder / ".env.example").read_text()
        filled = example.replace("API_TOKEN=", "API_TOKEN=sntryu_test").replace(
            "ORGANIZATION=", "ORGANIZATION=acme-shop"
        )
        address = f"TAP_SENTRY_BASE_URL={sentry[1]['TAP_SENTRY_BASE_URL']}"
        env_file = meltano.folder / ".env"
        env_file.write_text(f"{filled}\nTAP_SENTRY_RATE_LIMIT=1000\n{address}\n")
        try:
            ran = meltano.meltano("run", "tap-sentry", "target-duckdb")
        finally:
            env_file.unlink()
        assert ran.returncode == 0, ran.stdout[-4000:]
        assert (meltano.folder / "output/prod/warehouse.duckdb").exists()
        assert not meltano.warehouse.exists()

    def test_without_a_token_prod_says_what_is_missing_and_shows_no_demo(
        self, meltano: Project
    ) -> None:
        meltano.reset()
        ran = meltano.meltano("--environment=prod", "run", "tap-sentry", "target-duckdb")
        assert ran.returncode != 0
        assert "api_token is missing" in ran.stdout
        assert "Traceback" not in ran.stdout


class TestSelection:
    def test_one_more_stream_is_selected_by_one_command(
        self, sentry: tuple[Sentry, dict[str, str]], tmp_path: Path
    ) -> None:
        mine = project.copy(tmp_path)
        selected = mine.meltano("select", "tap-sentry", "replays", "*")
        assert selected.returncode == 0, selected.stdout[-4000:]
        ran = mine.meltano("run", "tap-sentry", "target-duckdb", **sentry[1])
        assert ran.returncode == 0, ran.stdout[-4000:]
        world = sentry[0].demo.world
        assert counts(mine) == expected_counts(world) | {"replays": world.counts()["replays"]}

    def test_may_stand_in_the_env_file(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        env_file = meltano.folder / ".env"
        env_file.write_text('TAP_SENTRY__SELECT=\'["projects.*", "replays.*"]\'\n')
        try:
            ran = meltano.meltano("run", "tap-sentry", "target-duckdb", **sentry[1])
        finally:
            env_file.unlink()
        assert ran.returncode == 0, ran.stdout[-4000:]
        assert counts(meltano).keys() == {"projects", "replays"}


class TestSchedule:
    def test_is_listed_and_runs_by_its_name(
        self, meltano: Project, sentry: tuple[Sentry, dict[str, str]]
    ) -> None:
        listed = meltano.meltano("schedule", "list")
        assert "sentry-hourly" in listed.stdout
        ran = meltano.meltano("schedule", "run", "sentry-hourly", **sentry[1])
        assert ran.returncode == 0, ran.stdout[-4000:]
        assert counts(meltano) == expected_counts(sentry[0].demo.world)


def expected_counts(world: World) -> dict[str, int]:
    """The rows of the streams that meltano.yml selects."""
    settings = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (tap,) = settings["plugins"]["extractors"]
    return {name: rows for name, rows in world.counts().items() if f"{name}.*" in tap["select"]}


def counts(meltano: Project) -> dict[str, int]:
    """Rows by table, but for sums that Sentry makes: of those the world knows no number."""
    sums = {"release_health", "usage_outcomes"}
    return {name: len(rows) for name, rows in meltano.tables().items() if name not in sums}


def duplicates(meltano: Project) -> dict[str, int]:
    """Streams with a key that stands in more than one row, and how many such there are."""
    keys = {
        "spans": '"project.id", trace, id',
        "events": "projectid, eventid",
        "releases": "version",
        "release_deploys": "version, id",
    }
    found = {}
    with duckdb.connect(str(meltano.warehouse), read_only=True) as connection:
        for table in counts(meltano):
            key = keys.get(table, "id")
            row: Any = connection.execute(
                f"select count(*) - count(distinct ({key})) from sentry.{table}"  # noqa: S608
            ).fetchone()
            if row[0]:
                found[table] = row[0]
    return found


def victims(parent: int, name: str) -> list[psutil.Process]:
    """The processes of a run to kill: Meltano itself, or the plugin whose command has the name."""
    process = psutil.Process(parent)
    if name == "meltano":
        return [process]
    found = [
        child
        for child in process.children(recursive=True)
        if any(part.endswith(f"/{name}") for part in child.cmdline())
    ]
    assert found, f"{name} does not run"
    return found


def writers(meltano: Project) -> list[psutil.Process]:
    """What still runs of a project's plugins after Meltano is gone."""
    folder = str(meltano.folder)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(part.startswith(folder) for part in process.info["cmdline"] or ())
    ]


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something another process does.

    Raises:
        TimeoutError: If it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
