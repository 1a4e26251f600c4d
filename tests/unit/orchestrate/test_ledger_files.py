"""Log files between two readings: they grow, are renamed, copied, and cut off."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrate.ledger import files
from orchestrate.ledger.files import new_lines, opened, parsed, rotated
from orchestrate.ledger.model import SourceFile
from orchestrate.ledger.store import Ledger, LedgerError

JSON_OBJECTS = st.dictionaries(
    st.text("aé{", max_size=3),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text('a{}":,\\é', max_size=6),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.text("b", max_size=2), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "meltano.jsonl"


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def read(ledger: Ledger, path: Path) -> list[str]:
    """The new lines of the file and its older ones."""
    with ledger.writing(), opened(path) as found:
        return [line.decode() for file in found for line in list(new_lines(ledger, file))]


def is_known(ledger: Ledger, path: Path) -> bool:
    with path.open("rb") as file:
        return files.is_known(ledger, file)


class TestRotated:
    def test_gives_the_oldest_first_by_number(self, log: Path) -> None:
        for name in ("", ".1", ".2", ".9", ".10"):
            log.with_name(log.name + name).touch()
        names = [path.name.removeprefix(log.name) for path in rotated(log)]
        assert names == [".10", ".9", ".2", ".1", ""]

    def test_leaves_out_what_the_writer_did_not_rename(self, log: Path) -> None:
        for name in (".gz", ".1.gz", ".old", "x.1", ".1x", "."):
            log.with_name(log.name + name).touch()
        assert rotated(log) == []

    def test_may_miss_the_newest(self, log: Path) -> None:
        log.with_name(f"{log.name}.1").touch()
        assert [path.suffix for path in rotated(log)] == [".1"]


class TestOpened:
    def test_stay_the_same_when_the_log_turns_over_meanwhile(self, log: Path) -> None:
        append(log, "2\n")
        append(log.with_name(f"{log.name}.1"), "1\n")
        with opened(log) as found:
            log.with_name(f"{log.name}.1").rename(log.with_name(f"{log.name}.2"))
            log.rename(log.with_name(f"{log.name}.1"))
            append(log, "3\n")
            assert [file.read() for file in found] == [b"1\n", b"2\n"]

    def test_leave_out_one_that_is_gone_when_its_turn_comes(self, log: Path) -> None:
        log.with_name(f"{log.name}.2").symlink_to("nowhere")
        append(log.with_name(f"{log.name}.1"), "1\n")
        with opened(log) as found:
            assert [file.read() for file in found] == [b"1\n"]

    def test_come_once_under_two_names(self, log: Path) -> None:
        append(log, "1\n")
        log.with_name(f"{log.name}.1").hardlink_to(log)
        with opened(log) as found:
            assert [file.read() for file in found] == [b"1\n"]

    def test_are_none_where_nothing_was_written(self, log: Path) -> None:
        with opened(log) as found:
            assert found == []

    def test_that_cannot_be_read_are_told_in_one_line(self, log: Path) -> None:
        log.mkdir()
        told = f"Cannot read {log}: Is a directory. Make it and its older ones readable"
        with pytest.raises(LedgerError, match=told), opened(log):
            pass


class TestNewLines:
    def test_come_once(self, ledger: Ledger, log: Path) -> None:
        append(log, "1\n2\n")
        assert read(ledger, log) == ["1", "2"]
        assert read(ledger, log) == []
        append(log, "3\n")
        assert read(ledger, log) == ["3"]

    def test_of_an_empty_file_are_none_and_nothing_is_noted(
        self, ledger: Ledger, log: Path
    ) -> None:
        log.touch()
        assert read(ledger, log) == []
        assert ledger.rows(SourceFile) == []
        assert not is_known(ledger, log)
        append(log, "1\n")
        assert read(ledger, log) == ["1"]
        assert is_known(ledger, log)

    def test_wait_for_their_end(self, ledger: Ledger, log: Path) -> None:
        append(log, '{"event": "fir')
        assert read(ledger, log) == []
        append(log, 'st"}\n{"event": "sec')
        assert read(ledger, log) == ['{"event": "first"}']
        assert read(ledger, log) == []
        append(log, 'ond"}\n')
        assert read(ledger, log) == ['{"event": "second"}']

    def test_after_the_file_has_turned_over_come_once_and_in_order(
        self, ledger: Ledger, log: Path
    ) -> None:
        append(log, "1\n2\n")
        assert read(ledger, log) == ["1", "2"]
        append(log, "3\n")
        log.rename(log.with_name(f"{log.name}.1"))
        append(log, "4\n")
        assert read(ledger, log) == ["3", "4"]
        log.with_name(f"{log.name}.1").rename(log.with_name(f"{log.name}.2"))
        log.rename(log.with_name(f"{log.name}.1"))
        assert read(ledger, log) == []

    def test_of_a_copy_are_known(self, ledger: Ledger, log: Path, tmp_path: Path) -> None:
        append(log, "1\n2\n")
        read(ledger, log)
        copy = tmp_path / "copy.jsonl"
        copy.write_bytes(log.read_bytes() + b"3\n")
        assert is_known(ledger, copy)
        assert read(ledger, copy) == ["3"]

    def test_of_an_older_and_shorter_copy_are_none(
        self, ledger: Ledger, log: Path, tmp_path: Path
    ) -> None:
        append(log, "1\n2\n3\n")
        read(ledger, log)
        copy = tmp_path / "copy.jsonl"
        copy.write_text("1\n2\n")
        assert read(ledger, copy) == []
        append(log, "4\n")
        assert read(ledger, log) == ["4"]

    def test_of_a_file_written_anew_are_all(self, ledger: Ledger, log: Path) -> None:
        append(log, "1\n2\n")
        read(ledger, log)
        log.write_text("other\n")
        assert read(ledger, log) == ["other"]

    def test_are_new_again_if_the_transaction_fails(self, ledger: Ledger, log: Path) -> None:
        append(log, "1\n")

        def fail() -> None:
            with ledger.writing(), log.open("rb") as file:
                assert list(new_lines(ledger, file)) == [b"1"]
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert read(ledger, log) == ["1"]

    def test_may_be_longer_than_what_is_read_at_once(self, ledger: Ledger, log: Path) -> None:
        lines = ["x" * 3_000_000, "y", "z" * 1_500_000]
        append(log, "\n".join(lines) + "\nbegun")
        assert read(ledger, log) == lines
        append(log, " and ended\n")
        assert read(ledger, log) == ["begun and ended"]

    @given(
        lines=st.lists(st.text("ab", max_size=4), min_size=1, max_size=8),
        sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    )
    @settings(max_examples=40)
    def test_come_once_however_the_writing_is_cut(self, lines: list[str], sizes: list[int]) -> None:
        rest = "".join(f"{line}\n" for line in lines)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            with Ledger(Path(folder) / "ledger.db") as ledger:
                for size in [*sizes, len(rest)]:
                    append(path, rest[:size])
                    rest = rest[size:]
                    found += read(ledger, path)
        assert found == lines


class TestParsed:
    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b" ",
            b"words",
            b"[1]",
            b"12",
            b"null",
            b'"text"',
            b'{"a": ',
            b'{"a": 1',
            b"\xff\xfe",
        ],
    )
    def test_is_none_where_there_is_no_object(self, line: bytes) -> None:
        assert parsed(line) is None

    def test_is_the_object_of_a_whole_line(self) -> None:
        assert parsed('{"event": "Straße", "n": 1.5}\r'.encode()) == {"event": "Straße", "n": 1.5}

    @pytest.mark.parametrize(
        "half",
        [b"{", b'{"', b'{"event": "x', b'{"event": {"rows": 1}', b'{"a": [{"b": 1}, ', b"{\xff"],
    )
    def test_is_the_whole_one_behind_a_half(self, half: bytes) -> None:
        assert parsed(half + b'{"event": "whole", "of": {"it": 1}}') == {
            "event": "whole",
            "of": {"it": 1},
        }

    @given(killed=JSON_OBJECTS, whole=JSON_OBJECTS, data=st.data())
    def test_is_the_whole_one_wherever_the_half_ends(
        self, killed: dict[str, Any], whole: dict[str, Any], data: st.DataObject
    ) -> None:
        line = json.dumps(killed).encode()
        half = line[: data.draw(st.integers(0, len(line) - 1))]
        assert parsed(half + json.dumps(whole).encode()) == whole
