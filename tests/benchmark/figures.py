"""A measured figure beside its aim, and the table of them."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the table; `is_met` is None where nothing is aimed at."""

    name: str
    value: str
    aim: str = ""
    is_met: bool | None = None


def at_most(name: str, value: float, most: float, form: str = "{:.2f}") -> Figure:
    """A figure that should not be larger than `most`; `form` writes it with its unit."""
    return Figure(name, form.format(value), f"<= {most:g}{_unit(form)}", value <= most)


def at_least(name: str, value: float, least: float, form: str = "{:,.0f}") -> Figure:
    """A figure that should not be smaller than `least`; `form` writes it with its unit."""
    return Figure(name, form.format(value), f">= {least:,g}{_unit(form)}", value >= least)


def _unit(form: str) -> str:
    return form.partition("}")[2]


def table(figures: Iterable[Figure]) -> str:
    """The figures as a Markdown table below a line about date, machine and Python."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    met = {True: "yes", False: "**no**", None: ""}
    return "\n".join(
        [
            f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, {memory_gb:.0f} GB, "
            f"{platform.machine()}, Python {platform.python_version()}",
            "",
            "| figure | value | aim | met |",
            "| --- | ---: | ---: | --- |",
            *(f"| {f.name} | {f.value} | {f.aim} | {met[f.is_met]} |" for f in figures),
        ]
    )


def main(
    measure: Callable[[bool], Iterable[Figure]],
    about: str | None,
    argv: Sequence[str] | None = None,
) -> None:
    """The command line of one benchmark: its table, of smaller sizes with `--quick`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for trying")
    parser.add_argument("--output", type=Path, help="write the table to this file too")
    options = parser.parse_args(argv)
    printed = table(_told(measure(options.quick)))
    print(f"\n{printed}")
    if options.output:
        options.output.write_text(f"{printed}\n", encoding="utf-8")


def _told(figures: Iterable[Figure]) -> Iterable[Figure]:
    """The same figures, each told at once: the whole table takes minutes."""
    for figure in figures:
        print(f"{figure.name}: {figure.value}", file=sys.stderr, flush=True)
        yield figure
