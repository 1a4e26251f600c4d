"""`dbt build --target sample` in a clone in which the tap never ran."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import project, sample

pytestmark = pytest.mark.slow

SAMPLE = ("--target", "sample")
GOOD = {"success", "pass", "no-op"}  # the last is how exposures end
# Types whose texts say the same in different words.
READ_AS_JSON = {"json", "double", "bigint", "boolean"}


@dataclass
class Clone:
    """The project's files, and commands that run in its folder `transform`."""

    bin: Path
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "transform/target/sample_warehouse.duckdb"

    def run(self, command: str, *arguments: str, start: str = "transform", **variables: str) -> str:
        """Run a command in the folder `start`, which must succeed. Returns what it printed."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBT_", "MELTANO_"))
        }
        done = subprocess.run(
            [self.bin / command, *arguments],
            cwd=self.folder / start,
            env=kept | {"DBT_VERSION_CHECK": "false"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def dbt(self, *arguments: str) -> set[str]:
        """Run dbt. Returns the statuses that nodes ended with."""
        self.run("dbt", *arguments)
        results = json.loads((self.file.parent / "run_results.json").read_bytes())["results"]
        return {result["status"] for result in results}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        names = "select table_name from information_schema.tables where table_schema = 'marts'"
        return {name: self.rows(f"from marts.{name} order by all") for (name,) in self.rows(names)}


def clone(transformer_bin: Path, folder: Path) -> Clone:
    project.copy(folder)
    return Clone(transformer_bin, folder)


@pytest.fixture(scope="module")
def built(transformer_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = clone(transformer_bin, tmp_path_factory.mktemp("built"))
    # dbt keeps what it parsed: seeds that are off with another target must come into being.
    seeds = made.run("dbt", "ls", "--resource-type", "seed", "--quiet").split()
    assert seeds == ["sentry.events", "sentry.users"]
    assert made.dbt("build", *SAMPLE) <= GOOD
    return made


class TestBuild:
    def test_stores_seeds_as_they_stand_in_the_files(self, built: Clone) -> None:
        for stream, columns in sample.declared_columns().items():
            path = sample.path_of(stream)
            with path.open(newline="", encoding="utf-8") as lines:
                expected = [tuple(value or None for value in row) for row in csv.reader(lines)][1:]
            texts = ", ".join(f'cast("{name}" as varchar)' for name in columns)
            found = built.rows(f"select {texts} from sample.{path.stem}")  # noqa: S608
            assert comparable(found, columns) == comparable(expected, columns), stream

    def test_brings_every_row_to_staging(self, built: Clone) -> None:
        for stream in sample.declared_columns():
            seed = sample.path_of(stream).stem
            [(staged, stored)] = built.rows(
                f"select (select count(*) from staging.stg_sentry__{stream}), "  # noqa: S608
                f"(select count(*) from sample.{seed})"
            )
            assert staged == stored > 0, stream

    def test_joins_product_events_and_spans_up_to_the_samples_end(self, built: Clone) -> None:
        [(last, both)] = built.rows(
            "select max(activity_date), "
            "count(*) filter (where event_count > 0 and stored_span_count > 0) "
            "from marts.user_engagement"
        )
        assert last == date(2026, 11, 20)
        assert both > 20

    def test_leaves_no_mart_without_rows(self, built: Clone) -> None:
        marts = built.marts()
        assert marts
        assert [name for name, rows in marts.items() if not rows] == []

    def test_again_changes_nothing(self, built: Clone) -> None:
        before = built.marts()
        assert built.dbt("build", *SAMPLE, "--exclude-resource-type", "unit_test") <= GOOD
        assert built.marts() == before

    def test_replaces_seeds_of_an_older_sample(self, built: Clone) -> None:
        with duckdb.connect(str(built.file)) as connection:
            connection.execute("alter table sample.teams drop column slug")
        assert built.dbt("seed", *SAMPLE, "--select", "teams") == {"success"}
        assert built.rows("select count(slug) > 0 from sample.teams") == [(True,)]


class TestCommands:
    def test_work_one_after_another_with_the_launcher_too(
        self, transformer_bin: Path, tmp_path: Path
    ) -> None:
        made = clone(transformer_bin, tmp_path)
        places = ("--project-dir", "transform", "--profiles-dir", "transform")
        made.run("dbt", "seed", *SAMPLE, *places, start=".")
        assert made.dbt("run", *SAMPLE) == {"success"}
        assert made.dbt("test", *SAMPLE) == {"pass", "success"}  # the latter of on-run-start
        made.run("dbt", "docs", "generate", *SAMPLE)
        assert (made.file.parent / "catalog.json").exists()
        made.run("dbt-launcher", "seed", *SAMPLE, MELTANO_PROJECT_ROOT=str(tmp_path))
        assert [path.name for path in (tmp_path / "output").iterdir()] == ["sample"]
        assert (tmp_path / "output/sample/warehouse.duckdb").exists()


def comparable(rows: list[tuple[Any, ...]], columns: dict[str, str]) -> list[tuple[Any, ...]]:
    """Rows sorted, numbers and JSON as values instead of texts that can be written differently."""
    return sorted(
        (
            tuple(
                value if value is None else json.loads(value) if kind in READ_AS_JSON else value
                for value, kind in zip(row, columns.values(), strict=True)
            )
            for row in rows
        ),
        key=repr,
    )
