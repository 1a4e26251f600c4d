"""The filter in Meltano's process that sees a run begin, fed with the lines of Meltano 4.4."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrate.ledger import identity

SCRIPT = Path(__file__).parents[3] / "orchestrate/meltano_run.py"
RUN = "01a1ffd1-54fd-7a61-9872-3dc4b16907d5"
HEX = RUN.replace("-", "")
OUTER_TRACE, OUTER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REVISION = "55d7fe2c43333c09922a29db2e160875f34e0a56"
PAIR, COMMAND = "ExtractLoadBlocks set", "PluginCommand"
OUTSIDE = ("TRACEPARENT", "MELTANO_RUN_ID", "MELTANO_JOB_TRIGGER", "MELTANO_STATE_ID_SUFFIX")


def line(level: int, msg: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"levelno": level, "levelname": logging.getLevelName(level), "msg": msg}
    )


class Meltano:
    """Meltano's process: `say` gives the filter a line, `begin` the one before the first step."""

    def __init__(self, module: ModuleType) -> None:
        self.filter = module.filter
        self.is_planned = False

    def say(self, event: str, **fields: Any) -> bool:
        return bool(self.filter(line(logging.DEBUG, {"event": event, **fields})))

    def plan(self, *plugins: str, blocks: dict[int, str] | None = None) -> None:
        """What Meltano says of plugins as typed, and of the steps that begin at a place of them."""
        self.is_planned = True
        for typed in plugins:
            name, _, command = typed.partition(":")
            if command:
                self.say("plugin command added for execution", command_name=command)
            self.say("found plugin in cli invocation", plugin_name=name)
        for offset, block in (blocks or {0: PAIR}).items():
            self.say(f"found {block}", offset=offset)

    def begin(self) -> dict[str, Any]:
        """The fields of the line as it goes on to the log; of one pair where no plan was made."""
        if not self.is_planned:
            self.plan("tap-sentry", "target-duckdb")
        fields = {
            "event": "All ExtractLoadBlocks validated, starting execution.",
            "run_id": RUN,
            "level": "debug",
        }
        record = line(logging.DEBUG, fields)
        assert self.filter(record)
        assert (record.levelno, record.levelname) == (logging.INFO, "INFO")
        assert (fields["event"], fields["level"]) == ("Run started", "info")
        return fields


@pytest.fixture
def meltano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Meltano:
    """The script as new, in a project without git, and nothing of it left in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["meltano", "run", "tap-sentry", "target-duckdb"])
    for name in OUTSIDE:
        monkeypatch.setenv(name, "")  # remembers what was there before
        monkeypatch.delenv(name)
    spec = spec_from_file_location("meltano_run_under_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return Meltano(module)


class TestTheBeginningOfARun:
    def test_tells_environment_host_process_and_command_line(self, meltano: Meltano) -> None:
        assert not meltano.say("Environment 'prod' is active")
        fields = meltano.begin()
        assert fields["environment"] == "prod"
        assert (fields["host"], fields["pid"]) == (socket.gethostname(), os.getpid())
        assert fields["arguments"] == ["run", "tap-sentry", "target-duckdb"]
        assert (fields["run_id"], fields["trigger"]) == (RUN, None)

    def test_tells_who_started_it(self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MELTANO_JOB_TRIGGER", "schedule")
        assert meltano.begin()["trigger"] == "schedule"

    def test_tells_the_steps_to_come(
        self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed = ["tap-sentry", "target-duckdb", "dbt:build", "dbt"]
        monkeypatch.setattr(sys, "argv", ["meltano", "run", "--full-refresh", *typed])
        meltano.plan(*typed, blocks={0: PAIR, 2: COMMAND, 3: COMMAND})
        fields = meltano.begin()
        assert fields["job"] == "tap-sentry target-duckdb dbt:build dbt"
        assert fields["steps"] == [
            {"name": "tap-sentry target-duckdb", "kind": "extract_load"},
            {"name": "dbt:build", "kind": "command"},
            {"name": "dbt", "kind": "command"},
        ]

    def test_names_a_job_as_it_was_typed(
        self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["meltano", "run", "--force", "sentry-to-marts", "dbt"])
        meltano.say("expanding job to tasks", job_name="sentry-to-marts")
        meltano.plan("tap-sentry", "target-duckdb", "dbt")
        assert meltano.begin()["job"] == "sentry-to-marts dbt"

    @pytest.mark.parametrize(
        ("words", "variable", "suffix"),
        [
            (["--state-id-suffix", "a"], None, "a"),
            (["--state-id-suffix=a=b"], "variable", "a=b"),
            ([], "variable", "variable"),
            (["--state-id-suffix"], None, None),
            ([], None, None),
        ],
    )
    def test_tells_the_suffix_of_the_state_id(
        self,
        meltano: Meltano,
        monkeypatch: pytest.MonkeyPatch,
        words: list[str],
        variable: str | None,
        suffix: str | None,
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["meltano", "run", *words])
        if variable:
            monkeypatch.setenv("MELTANO_STATE_ID_SUFFIX", variable)
        assert meltano.begin()["suffix"] == suffix


class TestAMeltanoWithOtherWords:
    @pytest.mark.parametrize("offset", [None, "first"])
    def test_begins_its_runs_all_the_same(self, meltano: Meltano, offset: object) -> None:
        meltano.is_planned = True
        meltano.say("found ExtractLoadBlocks set", offset=offset)
        assert meltano.begin()["run_id"] == RUN
        assert os.environ["MELTANO_RUN_ID"] == RUN

    def test_tells_no_steps_rather_than_stop_a_run(self, meltano: Meltano) -> None:
        meltano.is_planned = True
        meltano.say("found plugin in cli invocation", plugin_name="tap-sentry")
        assert meltano.begin()["steps"] == []


class TestOtherLines:
    @pytest.mark.parametrize("msg", [{"event": "words"}, {}, "words", None, {"event": None}])
    def test_go_on_from_info_up_as_they_are(self, meltano: Meltano, msg: Any) -> None:
        before = dict(msg) if isinstance(msg, dict) else msg
        assert meltano.filter(line(logging.INFO, msg))
        assert meltano.filter(line(logging.ERROR, msg))
        assert not meltano.filter(line(logging.DEBUG, msg))
        assert msg == before
        assert "TRACEPARENT" not in os.environ


class TestThePlugins:
    def test_get_the_run_and_its_span_as_their_parent(self, meltano: Meltano) -> None:
        fields = meltano.begin()
        assert os.environ["MELTANO_RUN_ID"] == RUN
        assert os.environ["TRACEPARENT"] == fields["traceparent"]
        assert fields["parent"] is None
        parent = identity.parent(os.environ["TRACEPARENT"])
        assert parent == (HEX, identity.span_id(HEX, RUN))
        assert parent.trace_id == identity.trace_id(RUN)

    def test_stay_in_the_trace_that_the_run_was_started_in(
        self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outer = f"00-{OUTER_TRACE}-{OUTER_SPAN}-00"
        monkeypatch.setenv("TRACEPARENT", outer)
        assert meltano.begin()["parent"] == outer
        span = identity.span_id(OUTER_TRACE, RUN)
        assert os.environ["TRACEPARENT"] == f"00-{OUTER_TRACE}-{span}-00", "flags are kept"

    @pytest.mark.parametrize(
        "malformed",
        [
            "",
            "words",
            f"00-{'0' * 32}-{OUTER_SPAN}-01",
            f"00-{OUTER_TRACE}-{'0' * 16}-01",
            f"01-{OUTER_TRACE}-{OUTER_SPAN}-01-more",
            f"00-{OUTER_TRACE.upper()}-{OUTER_SPAN}-01",
        ],
    )
    def test_get_no_malformed_traceparent(
        self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch, malformed: str
    ) -> None:
        monkeypatch.setenv("TRACEPARENT", malformed)
        assert meltano.begin()["parent"] is None
        assert os.environ["TRACEPARENT"].startswith(f"00-{HEX}-")

    def test_are_told_of_in_no_line_of_a_dry_run(
        self, meltano: Meltano, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["meltano", "run", "--dry-run", "tap-sentry"])
        event = "All ExtractLoadBlocks validated, starting execution."
        assert not meltano.say(event, run_id=RUN)


class TestTheRevision:
    @staticmethod
    def git(head: str) -> Path:
        repository = Path(".git")
        (repository / "refs/heads/topic").mkdir(parents=True)
        (repository / "HEAD").write_text(head)
        return repository

    def test_of_a_branch_is_in_its_file(self, meltano: Meltano) -> None:
        repository = self.git("ref: refs/heads/topic/one\n")
        (repository / "refs/heads/topic/one").write_text(f"{REVISION}\n")
        (repository / "packed-refs").write_text(f"{'0' * 40} refs/heads/topic/one\n")
        fields = meltano.begin()
        assert (fields["branch"], fields["revision"]) == ("topic/one", REVISION)

    def test_of_a_packed_branch_is_in_the_list(self, meltano: Meltano) -> None:
        repository = self.git("ref: refs/heads/a.b\n")
        (repository / "packed-refs").write_text(
            "# pack-refs with: peeled fully-peeled sorted\n"
            f"{'1' * 40} refs/heads/aXb\n"
            f"{'2' * 40} refs/heads/a.b.c\n"
            f"{REVISION} refs/heads/a.b\n"
            f"{'3' * 40} refs/remotes/origin/refs/heads/a.b\n"
        )
        fields = meltano.begin()
        assert (fields["branch"], fields["revision"]) == ("a.b", REVISION)

    def test_of_a_detached_head_has_no_branch(self, meltano: Meltano) -> None:
        self.git(f"{REVISION}\n")
        fields = meltano.begin()
        assert fields["revision"] == REVISION
        assert "branch" not in fields

    def test_of_a_branch_that_nobody_lists_is_not_told(self, meltano: Meltano) -> None:
        (self.git("ref: refs/heads/new\n") / "packed-refs").write_text("# nothing\n")
        fields = meltano.begin()
        assert fields["branch"] == "new"
        assert "revision" not in fields

    @pytest.mark.parametrize(
        "make",
        [
            lambda: None,
            lambda: Path(".git").write_text("gitdir: ../elsewhere/.git/worktrees/one\n"),
            lambda: Path(".git").mkdir(),
            lambda: TestTheRevision.git("ref: refs/heads/unborn\n"),
            lambda: (TestTheRevision.git("x") / "HEAD").write_bytes(b"\xff\xfe"),
        ],
        ids=["no git", "a worktree", "no HEAD", "no commit yet", "no text"],
    )
    def test_is_left_out_where_it_cannot_be_read(
        self, meltano: Meltano, make: Callable[[], object]
    ) -> None:
        make()
        fields = meltano.begin()
        assert not {"branch", "revision"} & set(fields)
