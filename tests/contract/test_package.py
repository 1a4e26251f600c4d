"""What `pip install tap-sentry` brings, as somebody finds it who has nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import venv
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tap_sentry.about import is_default
from tap_sentry.streams import STREAMS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "tap_sentry-"

# Loader, transformer and whatever looks at the data live in environments of their own.
HEAVY = ("dbt", "duckdb", "meltano", "opentelemetry", "pandas", "pyarrow", "streamlit", "target")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty environment in `venv`."""
    folder = tmp_path_factory.mktemp("package")
    venv.create(folder / "venv", with_pip=True)
    return folder


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    run(folder, "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", str(ROOT))
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """The folder, once the wheel is installed in its environment."""
    run(folder, "pip", "install", "--quiet", str(wheel))
    return folder


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of the environment, run in the folder, without what points at this checkout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "TAP_SENTRY_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [folder / "venv/bin" / program, *arguments],
        cwd=folder,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{program} {arguments}: {done.stderr[-3000:]}"
    return done


class TestWheel:
    def test_holds_the_tap_alone(self, wheel: Path) -> None:
        tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
        assert {top for top in tops if not top.startswith(DISTRIBUTION)} == {"tap_sentry"}

    def test_holds_every_module_of_it(self, wheel: Path) -> None:
        names = set(zipfile.ZipFile(wheel).namelist())
        modules = {str(path.relative_to(ROOT)) for path in (ROOT / "tap_sentry").rglob("*.py")}
        assert modules <= names
        assert any(name.startswith("tap_sentry/demo/") for name in names)

    def test_says_that_it_is_typed(self, wheel: Path) -> None:
        assert "tap_sentry/py.typed" in zipfile.ZipFile(wheel).namelist()

    def test_holds_nothing_that_running_left_behind(self, wheel: Path) -> None:
        names = zipfile.ZipFile(wheel).namelist()
        assert not [name for name in names if name.endswith((".pyc", ".log", ".db", ".json"))]


class TestInstallation:
    def test_is_light(self, installed: Path) -> None:
        listed = json.loads(run(installed, "pip", "list", "--format", "json").stdout)
        names = [package["name"].lower() for package in listed]
        assert "singer-sdk" in names
        assert [name for name in names if name.startswith(HEAVY)] == []

    def test_has_no_second_owner_of_the_module_backoff(self, installed: Path) -> None:
        listed = json.loads(run(installed, "pip", "list", "--format", "json").stdout)
        owners = {package["name"].lower() for package in listed} & {"backoff", "python-backoff"}
        assert owners == {"python-backoff"}


class TestProgram:
    def test_tells_its_version(self, installed: Path, wheel: Path) -> None:
        version = wheel.name.split("-")[1]
        assert version in run(installed, "tap-sentry", "--version").stdout

    def test_discovers_all_streams_without_settings(self, installed: Path) -> None:
        catalog = json.loads(run(installed, "tap-sentry", "--discover").stdout)
        names = [stream["tap_stream_id"] for stream in catalog["streams"]]
        assert sorted(names) == sorted(vars(stream)["name"] for stream in STREAMS)

    def test_syncs_the_demo_without_network(self, installed: Path) -> None:
        last_week = datetime.now(timezone.utc) - timedelta(days=7)
        config = {
            "base_url": "https://demo.invalid",
            "rate_limit": 1000,
            "start_date": last_week.isoformat(),
        }
        (installed / "config.json").write_text(json.dumps(config))
        lines = run(installed, "tap-sentry", "--config", "config.json").stdout.splitlines()
        messages = [json.loads(line) for line in lines]
        streams = {message["stream"] for message in messages if message["type"] == "RECORD"}
        assert streams == {vars(stream)["name"] for stream in STREAMS if is_default(stream)}
        assert messages[-1]["type"] == "STATE"
