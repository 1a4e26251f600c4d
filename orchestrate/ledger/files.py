"""Log files as they grow, turn over and break: each whole line once, in the order of writing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from orchestrate.ledger.model import SourceFile
from orchestrate.ledger.store import Ledger, LedgerError

_BLOCK = 1 << 20


def rotated(path: Path) -> list[Path]:
    """The file and the older ones that its writer renamed to `.1`, `.2`, oldest first."""
    older = [
        (int(found.suffix[1:]), found)
        for found in path.parent.glob(f"{path.name}.*")
        if found.suffix[1:].isdecimal()
    ]
    newest = [path] if path.exists() else []
    return [found for _, found in sorted(older, reverse=True)] + newest


@contextmanager
def opened(path: Path) -> Iterator[list[BinaryIO]]:
    """The files of `rotated`, open: that the log turns over while they are read changes nothing.

    Raises:
        LedgerError: If one can't be read.
    """
    try:
        with ExitStack() as stack:
            yield _opened(path, stack)
    except OSError as error:
        raise LedgerError(
            f"Cannot read {path}: {error.strerror}. Make it and its older ones readable "
            "and run again."
        ) from error


def _opened(path: Path, stack: ExitStack) -> list[BinaryIO]:
    found: dict[int, BinaryIO] = {}
    # The newest first: whatever is renamed meanwhile comes under an older name, once more or only.
    for name in reversed(rotated(path)):
        with suppress(FileNotFoundError):
            file = stack.enter_context(name.open("rb"))
            found.setdefault(os.fstat(file.fileno()).st_ino, file)
    return [*reversed(found.values())]


def is_known(ledger: Ledger, file: BinaryIO) -> bool:
    """Whether some of the file has been read."""
    file.seek(0)
    return bool(ledger.rows(SourceFile, "fingerprint = ?", [_fingerprint(file.readline())]))


def new_lines(ledger: Ledger, file: BinaryIO) -> Iterator[bytes]:
    """The lines since the last reading; call it inside of `Ledger.writing`.

    What has been read is kept under the hash of the first line, which a renamed or copied file
    keeps. A line without its end is still being written and waits for the next reading.
    """
    file.seek(0)
    first = file.readline()
    if not first.endswith(b"\n"):
        return
    fingerprint = _fingerprint(first)
    known = ledger.rows(SourceFile, "fingerprint = ?", [fingerprint])
    offset = known[0].offset if known else 0
    file.seek(offset)
    begun = b""
    while block := file.read(_BLOCK):
        lines = (begun + block).split(b"\n")
        begun = lines.pop()
        yield from lines
    end = file.tell() - len(begun)
    if end != offset:
        path = str(Path(file.name).absolute())
        ledger.save([SourceFile(fingerprint=fingerprint, path=path, offset=end)])


def _fingerprint(first_line: bytes) -> str:
    return hashlib.sha256(first_line).hexdigest()


def parsed(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None if there is none.

    A process that died in the middle of a line leaves its beginning in front of the next one.
    """
    begin, view = 0, memoryview(line)  # which is cut without copying: lines can be megabytes
    while begin >= 0:
        try:
            found = msgspec.json.decode(view[begin:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            begin = line.find(b'{"', begin + 1)
            continue
        return found if isinstance(found, dict) else None
    return None
