"""What the command line asks for beside what is dbt's: `--reuse`, `--explain`, `--json`."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrate.transformer.paths import SAMPLE_TARGET, WAREHOUSE_TARGET

OFF = "off"
MODES = (OFF, "shadow", "on")
# With one of these a build leaves parts as they were, and the parts may not fit together.
_PARTIAL = frozenset(
    {"-s", "--select", "-m", "--models", "--model", "--exclude", "--selector", "--empty"}
    | {"--resource-type", "--resource-types", "--exclude-resource-type", "--sample"}
    | {"--exclude-resource-types", "--event-time-start", "--event-time-end"}
)
# With one of these tables are made anew on purpose, or of what lies elsewhere.
_OTHERWISE = frozenset(
    {"-f", "--full-refresh", "--defer", "--state", "--defer-state", "--favor-state"}
)
_VARIABLES = (
    *("DBT_FULL_REFRESH", "DBT_EMPTY", "DBT_SAMPLE", "DBT_DEFER", "DBT_FAVOR_STATE", "DBT_STATE"),
    *("DBT_RESOURCE_TYPES", "DBT_DEFER_STATE"),
)


class AskedError(Exception):
    """The message says what was asked, what is wrong and what to do, in one line."""


class Asked(NamedTuple):
    """What of the arguments is dbt's, how nodes are reused, and whether that is only told."""

    arguments: list[str]
    mode: str = OFF
    explain: bool = False
    as_json: bool = False


def asked(arguments: Sequence[str], environ: Mapping[str, str]) -> Asked:
    """Take our own options out of the arguments of `build`; those of other commands stay.

    Raises:
        AskedError: If a mode is none of MODES, or --explain has a value.
    """
    if not arguments or arguments[0] != "build":
        return Asked(list(arguments))
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--reuse", nargs="?", default=environ.get("DBT_REUSE") or OFF, const="")
    parser.add_argument("--explain", action="store_true")
    try:
        found, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise AskedError(f"Cannot build: {error}. Give --explain without a value.") from error
    as_json = found.explain and "--json" in rest
    if as_json:
        rest.remove("--json")
    if found.reuse not in MODES:
        raise AskedError(
            f"Cannot build: reuse is {found.reuse!r}. Give --reuse or DBT_REUSE one of "
            f"{', '.join(MODES)}."
        )
    return Asked(rest, found.reuse, found.explain, as_json)


def partial(arguments: Sequence[str]) -> str | None:
    """The first option by which only a part of the project is built, if there is one."""
    return _first(arguments, _PARTIAL)


def obstacle(arguments: Sequence[str], target: str, environ: Mapping[str, str]) -> str | None:
    """Why nothing can be reused in such a build, as the end of a sentence; None if it can."""
    if target not in {WAREHOUSE_TARGET, SAMPLE_TARGET}:
        return f"the target is {target}, which may be anything"
    found = partial(arguments) or _first(arguments, _OTHERWISE)
    if found:
        return f"with {found} nodes are not built as usual"
    variable = next((name for name in _VARIABLES if _is_set(environ.get(name))), None)
    if variable:
        return f"with {variable} nodes are not built as usual"
    if importlib.util.find_spec("sqlglot") is None:
        return "sqlglot is not installed beside dbt; `meltano install utility dbt` does it"
    return None


def _first(arguments: Sequence[str], options: frozenset[str]) -> str | None:
    for name in arguments:
        # A short option may have its value attached, as in -sdim_date.
        is_short = not name.startswith("--") and name[:2] in options
        if name.split("=")[0] in options or is_short:
            return name
    return None


def _is_set(value: str | None) -> bool:
    return bool(value) and str(value).lower() not in {"0", "f", "false", "n", "no"}
