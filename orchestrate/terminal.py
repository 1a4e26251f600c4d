"""A terminal: tables that fit into it, whatever its width."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

# Where the output goes into a file or a pipe, no line is cut.
_WIDE = 240
# How narrow the one elastic column of a table may become before others are left out.
_NARROWEST = 16


def console() -> Console:
    """Standard output, as wide as it is."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    # What is told is told as it is: a message may have brackets, which are no markup.
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def new_table(*left: str, right: Sequence[str] = (), last: Sequence[str] = ()) -> Table:
    """A table with columns of words, of numbers, of words again."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    for name in last:
        table.add_column(name, no_wrap=True)
    return table


def print_table(
    out: Console, table: Table, elastic: str, spare: Sequence[str], *, folds: bool = True
) -> None:
    """Print a table as wide as the terminal allows.

    Args:
        out: Where to.
        table: The table.
        elastic: The column that gives way, at first.
        spare: Those that are left out where that is not enough, in this order.
        folds: Whether the elastic column goes on in the next line; its end is cut otherwise.
    """
    left = list(spare)
    while True:
        column = next(column for column in table.columns if column.header == elastic)
        cells = (column.header, *column.cells)
        wanted = max(_width(out, cell or "") for cell in cells)
        room = out.width - _width(out, table) + wanted
        if room >= min(wanted, _NARROWEST) or not left:
            break
        table = _without(table, left.pop(0))
    column.max_width = max(room, _NARROWEST)
    column.no_wrap, column.overflow = not folds, "fold" if folds else "ellipsis"
    out.print(table)


def _width(out: Console, what: RenderableType) -> int:
    """How wide it would be with all the room there can be."""
    return out.measure(what, options=out.options.update(max_width=10_000)).maximum


def _without(table: Table, name: str) -> Table:
    kept = [column for column in table.columns if column.header != name]
    rest = new_table()
    for column in kept:
        rest.add_column(column.header, justify=column.justify, no_wrap=True)
    for cells in zip(*(column.cells for column in kept), strict=True):
        rest.add_row(*cells)
    return rest
