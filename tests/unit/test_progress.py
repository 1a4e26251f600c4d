from __future__ import annotations

import logging
from collections import Counter

import pytest

from tap_sentry.progress import Progress
from tests.scripted import Clock


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="tap-sentry")


class TestProgress:
    def test_is_told_every_ten_seconds(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        progress = Progress("issues", Counter(), clock)
        with progress.running():
            for _ in range(2100):
                clock.now += 1 / 64
                progress.count()
        # At the next hundred rows, that is.
        assert caplog.messages == [
            "issues: 700 rows, 11 s",
            "issues: 1,400 rows, 22 s",
            "issues: 2,100 rows, 33 s",
        ]

    def test_is_not_told_of_a_quick_stream(self, caplog: pytest.LogCaptureFixture) -> None:
        progress = Progress("issues", Counter(), Clock(1000))
        with progress.running():
            for _ in range(1000):
                progress.count()
        assert caplog.messages == []

    def test_tells_what_is_left_where_sentry_counts(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        progress = Progress("spans", Counter(), clock)
        with progress.running():
            progress.expect(4000)
            for _ in range(1000):
                clock.now += 0.0101
                progress.count()
        assert caplog.messages == [
            "spans: Sentry counts up to 4,000 rows to read",
            "spans: 1,000 of 4,000 rows (25 %), about 30 s left",
        ]

    @pytest.mark.parametrize("expected", [0, 500])
    def test_gives_no_share_of_a_count_that_was_too_low(
        self, caplog: pytest.LogCaptureFixture, expected: int
    ) -> None:
        clock = Clock(1000)
        progress = Progress("spans", Counter(), clock)
        with progress.running():
            progress.expect(expected)
            for _ in range(1000):
                clock.now += 0.0101
                progress.count()
        assert caplog.messages[-1] == "spans: 1,000 rows, 10 s"


class TestResult:
    def test_adds_up_all_partitions(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        requests = Counter({"default": 7})
        progress = Progress("events", requests, clock)
        for _ in range(2):
            with progress.running():
                clock.now += 1.5
                requests["project_events"] += 2
                for _ in range(600):
                    progress.count()
            clock.now += 60  # other streams
            requests["explore"] += 5
        progress.log_result({})
        assert caplog.messages[-1:] == ["events: done, 1,200 rows, 4 requests, 3.0 s"]

    def test_names_columns_that_did_not_fit(self, caplog: pytest.LogCaptureFixture) -> None:
        progress = Progress("events", Counter(), Clock(1000))
        with progress.running():
            progress.count()
        progress.log_result({"size": 3})
        assert caplog.messages[1] == (
            "events: 3 values of size were not of the column's type and are null"
        )
        assert caplog.records[1].levelno == logging.WARNING

    def test_of_a_stream_that_never_ran_is_silent(self, caplog: pytest.LogCaptureFixture) -> None:
        Progress("events", Counter(), Clock(1000)).log_result({})
        assert caplog.messages == []

    def test_counts_a_stream_that_failed(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        requests = Counter[str]()
        progress = Progress("events", requests, clock)

        def work() -> None:
            with progress.running():
                clock.now += 2
                requests["default"] += 1
                raise OSError("lost")

        with pytest.raises(OSError, match="lost"):
            work()
        progress.log_result({})
        assert caplog.messages == ["events: done, 0 rows, 1 requests, 2.0 s"]
