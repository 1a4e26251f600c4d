"""What is remembered of the last good build of each node: one file beside dbt's other ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from orchestrate.reuse.contents import Relation

# A file of another version is not read: then everything is built once.
VERSION = 2
# What one more invocation of dbt costs, until it has been measured.
_INVOCATION_S = 0.5
_NAME = re.compile(r'"((?:[^"]|"")*)"')
_RELATION = re.compile(rf"{_NAME.pattern}\.{_NAME.pattern}\.{_NAME.pattern}")
_DOUBTS = frozenset({"volatile", "hidden_input"})
_LATEST_US = 253_402_300_799_000_000  # the end of the year 9999


class Input(msgspec.Struct):
    """What a table was when a node read it: fingerprints of its rows and of its shape.

    `columns` are those that the node needs, all if None. A table that was not there has neither
    fingerprint; of tables below a view, only the shape counts and `content` is None. `is_asked`
    tells that its Jinja may ask what is in the table, so that its SQL follows from it.
    """

    columns: tuple[str, ...] | None = None
    content: str | None = None
    shape: str | None = None
    is_asked: bool = False


class NodeRecord(msgspec.Struct, kw_only=True):
    """A node as it was built last, or as a test was run.

    `inputs` are by relation, `views` are the definitions of the views in between, by unique id.
    `doubt` is the reason (`volatile`, `hidden_input`) for which it is never reused. `is_settled`
    tells of a node that reads its own rows that its last build changed none. `is_identical` is
    None at a first build.
    """

    definition: str
    status: str
    built_us: int
    seconds: float = 0.0
    content: str | None = None
    shape: str | None = None
    inputs: dict[str, Input] = {}
    views: dict[str, str] = {}
    doubt: str | None = None
    doubt_detail: str = ""
    is_settled: bool = True
    is_identical: bool | None = None


class State(msgspec.Struct, kw_only=True):
    """All that is remembered. `engine` is whose fingerprints these are."""

    version: int = VERSION
    engine: str = ""
    invocation_s: float = _INVOCATION_S
    nodes: dict[str, NodeRecord] = {}


def read(path: Path, engine: str, say: Callable[[str], object]) -> tuple[State, bool]:
    """The state, and whether it is one of another engine; an empty one where it can't be used.

    Args:
        path: The file; it need not exist.
        engine: The version of DuckDB that fingerprints are made by now.
        say: Told in one line why a file is not used.
    """
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
        if (state.version, state.engine) == (VERSION, engine):
            for name, record in state.nodes.items():
                _check(name, record)
    except FileNotFoundError:
        return State(engine=engine), False
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        say(f"Reuse: {path.name} can't be read ({error}), so everything is built and noted anew.")
        return State(engine=engine), False
    if (state.version, state.engine) != (VERSION, engine):
        say(
            f"Reuse: {path.name} is of DuckDB {state.engine}, version {state.version}; this is "
            f"DuckDB {engine}, version {VERSION}, so everything is built and noted anew."
        )
        return State(engine=engine), True
    return state, False


def relation_of(text: str) -> Relation:
    """The relation that was written as a text by `str`."""
    database, schema, name = (part.replace('""', '"') for part in _NAME.findall(text))
    return Relation(database, schema, name)


def _check(name: str, record: NodeRecord) -> None:
    """Raises msgspec.ValidationError if a record can't have been written by this program."""
    contents = [record.content, *(one.content for one in record.inputs.values())]
    is_good = (
        0 <= record.built_us <= _LATEST_US
        and (record.doubt is None or record.doubt in _DOUBTS)
        and all(_RELATION.fullmatch(text) for text in record.inputs)
        and all(one is None or ":" not in one or one.split(":")[0].isdecimal() for one in contents)
    )
    if not is_good:
        raise msgspec.ValidationError(f"the record of {name} makes no sense")


def write(path: Path, state: State) -> None:
    """Replace the file in one step.

    Raises:
        OSError: If the disk doesn't take it. The old file is untouched then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as handle:
            handle.write(msgspec.json.encode(state))
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
