"""The checkers have nothing to say, imports run one way, and no file knows one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import project
from tests.project import ROOT

# A module imports from lines above its own only; `schemas` and `demo` are one each.
LAYERS = (
    ("errors", "timestamps"),
    ("addresses", "buckets", "fetching", "output", "personal_fields", "redaction", "schemas"),
    ("gate", "personal_data", "records", "settings"),
    ("answers", "rate_limit", "replication", "sampling"),
    ("client", "planning"),
    ("progress",),
    ("organization",),
    ("streams.base",),
    ("streams.fan_out", "streams.windowed"),
    ("streams.per_project",),
    ("streams.counted",),
    ("streams.event_routes",),
    (
        "streams.events",
        "streams.issues",
        "streams.operations",
        "streams.organization",
        "streams.releases",
        "streams.replays",
        "streams.spans",
        "streams.usage",
    ),
    ("streams",),
    ("about",),
    ("tap",),
    ("__main__",),
)
# Beside them: nothing of ours, and client alone imports it, where a session is built.
DEMO = "demo"
DEMO_MAY_IMPORT = sys.stdlib_module_names | {"requests", "urllib3"}

# Of orchestrate: which parts a part may import beside itself and the shared modules.
PARTS: dict[str, set[str]] = {
    "loader": set(),
    "ledger": set(),
    "tracing": {"ledger"},
    "monitoring": {"ledger"},
    "observe": {"ledger", "monitoring", "tracing"},
    "dbt_cloud": {"ledger"},
    "reuse": {"ledger"},
    "transformer": {"ledger", "reuse", "tracing"},
    "analyzer": {"dbt_cloud", "ledger", "tracing"},
}
SHARED = {"terminal", "warehouse", "words"}
# Loaded into Meltano's process, where there is nothing but Meltano.
IN_MELTANO = {"meltano_console", "meltano_run"}

REGISTRIES = re.compile(r"pypi\.(org|io)|pythonhosted\.org|npmjs\.|crates\.io|rubygems\.org", re.I)
MACHINES = re.compile(
    r"(?<![\w.~/}-])/(home|Users|root|work)/\w"  # somebody's folder
    r"|\b[A-Z]:\\+Users\b"
)


def python(*arguments: str) -> None:
    """Run a checker from the repository's root, which must find nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by their names inside it; its own `__init__` is left out."""
    folder = ROOT / package
    found = {}
    for path in sorted(folder.rglob("*.py")):
        if "build" in path.relative_to(folder).parts:
            continue
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of all that is imported, `package.module.thing`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(path: Path) -> list[str]:
    return list(imports(ast.parse(path.read_text(encoding="utf-8"))))


def layer(name: str) -> int:
    """The layer of a module, or of the thing inside one, the longest name deciding."""
    places = [
        (len(module), number)
        for number, names in enumerate(LAYERS)
        for module in names
        if f"{name}.".startswith(f"{module}.")
    ]
    assert places, f"{name} has no place in LAYERS"
    return max(places)[1]


def package(name: str) -> str:
    return name.partition(".")[0]


TAP = modules("tap_sentry")
ORCHESTRATE = modules("orchestrate")


class TestCheckers:
    def test_ruff_finds_nothing(self) -> None:
        python("ruff", "check", "--no-fix")

    def test_ruff_would_format_nothing_otherwise(self) -> None:
        python("ruff", "format", "--check")

    def test_mypy_finds_nothing(self) -> None:
        python("mypy")

    def test_sqlfluff_finds_nothing(self) -> None:
        python("sqlfluff", "lint", "--disable-progress-bar", "transform")


class TestImportsOfTheTap:
    @pytest.mark.parametrize("name", [name for name in TAP if package(name) != DEMO])
    def test_run_from_lower_layers_only(self, name: str) -> None:
        place = layer(name)
        ours = [
            other.removeprefix("tap_sentry.")
            for other in imported(TAP[name])
            if other.startswith("tap_sentry.")
        ]
        for other in ours:
            if package(other) == DEMO:
                assert name == "client"
            elif not package(other) == package(name) == "schemas":
                assert layer(other) < place, f"{name} imports {other}"

    @pytest.mark.parametrize("name", [name for name in TAP if package(name) == DEMO])
    def test_of_the_demo_are_its_own_and_the_standard_library(self, name: str) -> None:
        for other in imported(TAP[name]):
            if package(other) not in DEMO_MAY_IMPORT:
                assert other.startswith(f"tap_sentry.{DEMO}."), other

    def test_of_the_demo_happen_only_where_a_session_is_built(self) -> None:
        tree = ast.parse(TAP["client"].read_text(encoding="utf-8"))
        at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in at_once:
            assert not any(name.startswith(f"tap_sentry.{DEMO}") for name in imports(node))

    def test_of_orchestrate_never_happen(self) -> None:
        for name, path in TAP.items():
            assert not [other for other in imported(path) if is_in(other, "orchestrate")], name


class TestImportsOfOrchestrate:
    def test_of_the_tap_never_happen(self) -> None:
        for name, path in ORCHESTRATE.items():
            assert not [other for other in imported(path) if is_in(other, "tap_sentry")], name

    @pytest.mark.parametrize("name", ORCHESTRATE)
    def test_run_one_way(self, name: str) -> None:
        ours = {
            package(other.removeprefix("orchestrate."))
            for other in imported(ORCHESTRATE[name])
            if other.startswith("orchestrate.")
        }
        own = package(name)
        if own in SHARED | IN_MELTANO:
            assert not ours, name
        else:
            assert ours <= {own} | PARTS[own] | SHARED, name

    @pytest.mark.parametrize("name", sorted(IN_MELTANO))
    def test_in_meltanos_process_are_the_standard_library(self, name: str) -> None:
        assert {package(other) for other in imported(ORCHESTRATE[name])} <= set(
            sys.stdlib_module_names
        )


class TestImportsOfTheSdk:
    def test_are_public(self) -> None:
        for name, path in (TAP | ORCHESTRATE).items():
            for other in imported(path):
                if is_in(other, "singer_sdk"):
                    assert not re.search(r"(^|\.)_", other), f"{name} imports {other}"


class TestFiles:
    def test_name_no_package_registry(self) -> None:
        assert list(lines_with(REGISTRIES)) == []

    def test_name_no_place_on_one_machine(self) -> None:
        assert list(lines_with(MACHINES)) == []


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def lines_with(pattern: re.Pattern[str]) -> Iterator[str]:
    """The lines of what git holds or would add in which the pattern is found; not this file's."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs git to tell the project's files from others")
    for name in project.files():
        path = ROOT / name
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                yield f"{name}:{number}: {line.strip()[:120]}"
