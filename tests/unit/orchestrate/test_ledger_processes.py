"""Which runs without an end are over: by their process, or by their silence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from orchestrate.ledger.processes import is_gone

HERE = socket.gethostname()
HOUR_S, DAY_S = 3600, 86_400
NOW_S = 1_795_262_400.0


def of(host: str | None, pid: int | None, *, silence_s: float, started_us: int = 0) -> bool:
    """Whether a process that spoke so long ago is gone."""
    heard_us = round((NOW_S - silence_s) * 1e6)
    return is_gone(host, pid, started_us, heard_us, now_s=lambda: NOW_S)


class TestAProcessHere:
    def test_is_there_however_silent(self) -> None:
        now_us = time.time_ns() // 1000
        assert not of(HERE, os.getpid(), silence_s=9 * DAY_S, started_us=now_us)

    def test_that_ended_is_gone_at_once(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        assert of(HERE, process.pid, silence_s=0)

    def test_that_began_after_the_run_is_another(self) -> None:
        long_ago_us = time.time_ns() // 1000 - 900 * DAY_S * 1_000_000
        assert of(HERE, os.getpid(), silence_s=0, started_us=long_ago_us)


class TestAProcessThatCannotBeLookedUp:
    @pytest.mark.parametrize(
        ("host", "pid", "limit_s"),
        [(None, None, HOUR_S), (HERE, None, HOUR_S), ("a-container", 1, DAY_S)],
    )
    def test_is_gone_after_long_silence(
        self, host: str | None, pid: int | None, limit_s: int
    ) -> None:
        assert not of(host, pid, silence_s=limit_s - 1)
        assert of(host, pid, silence_s=limit_s + 1)
