from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk.logging import StructuredFormatter
from singer_sdk.metrics import MetricExclusionFilter

from tap_sentry.errors import NotAvailable, RateLimited
from tap_sentry.progress import Progress, RunReport, log_metric, log_trace_context
from tap_sentry.rate_limit import RateLimiter
from tests.scripted import BEARER, Clock, Reply, Scripted, client

PATH = "/organizations/acme/projects/"
ISSUES = "/organizations/acme/issues/"


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def stream(name: str, *, rows: int = 0, requests: int = 0) -> Progress:
    made = Progress(name)
    made.rows = rows
    for _ in range(requests):
        made.answered()
    return made


def told(
    *streams: Progress, seconds: float = 10, report: RunReport | None = None, at_work: str = ""
) -> str:
    """The line about a run of these streams, so many seconds after its beginning."""
    clock = Clock(1000)
    report = report or RunReport(client(Scripted(Reply(200, []))), clock)
    with report.telling(streams):
        clock.now += seconds
        working = [each for each in streams if each.name == at_work]
        if not working:
            return report.so_far()
        with working[0].running():
            return report.so_far()


def metrics(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What stands in the METRIC lines."""
    lines = [text for text in caplog.messages if text.startswith("METRIC: ")]
    return [json.loads(line.removeprefix("METRIC: ")) for line in lines]


class TestProgress:
    def test_counts_the_answers_of_many_threads(self) -> None:
        progress = Progress("issues")

        def work() -> None:
            for _ in range(1000):
                progress.answered()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress.requests == 4000

    def test_adds_up_what_is_expected(self) -> None:
        progress = Progress("events")
        progress.expect(100, 2)
        progress.expect(50, 1)
        assert (progress.expected_rows, progress.expected_requests) == (150, 3)

    def test_is_at_work_while_its_rows_are_written(self) -> None:
        progress = Progress("events")
        with progress.running():
            assert progress.is_at_work
        assert not progress.is_at_work

    def test_is_not_at_work_after_an_error(self) -> None:
        progress = Progress("events")
        with pytest.raises(OSError, match="lost"), progress.running():
            raise OSError("lost")
        assert not progress.is_at_work

    @pytest.mark.parametrize(
        ("rows", "expected", "text"),
        [
            (0, 0, "spans 0 rows"),
            (0, 5000, "spans 0 of 5,000 rows"),
            (1, 0, "spans 1 row"),
            (1, 1, "spans 1 of 1 row"),
            (1234, 0, "spans 1,234 rows"),
            (1234, 5000, "spans 1,234 of 5,000 rows"),
            (5000, 5000, "spans 5,000 of 5,000 rows"),
            (5001, 5000, "spans 5,001 rows"),  # the count was too low: no share of it
        ],
    )
    def test_reads_as_rows_of_what_sentry_counts(self, rows: int, expected: int, text: str) -> None:
        progress = stream("spans", rows=rows)
        progress.expect(expected, 1)
        assert str(progress) == text

    def test_gives_a_metric_with_its_plan(self, caplog: pytest.LogCaptureFixture) -> None:
        progress = stream("events", rows=90, requests=3)
        progress.expect(100, 2)
        progress.log_metrics()
        tags = {"stream": "events", "planned_rows": 100, "planned_requests": 2}
        assert metrics(caplog) == [
            {"type": "counter", "metric": "stream_request_count", "value": 3, "tags": tags}
        ]

    def test_that_planned_nothing_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        stream("teams").log_metrics()
        (point,) = metrics(caplog)
        assert point["value"] == 0
        assert point["tags"] == {"stream": "teams", "planned_rows": None, "planned_requests": None}


class TestSoFar:
    def test_adds_up_all_streams(self) -> None:
        issues = stream("issues", rows=1000, requests=10)
        text = told(issues, stream("events", rows=234, requests=3))
        assert text == "10 s: 1,234 rows written, 13 requests"

    def test_tells_the_share_of_what_is_expected_and_the_time_left(self) -> None:
        events = stream("events", rows=2500, requests=25)
        events.expect(10_000, 100)
        assert told(events, seconds=30) == (
            "30 s: 2,500 rows written, 25 requests of about 100 (25%), about 1 min 30 s left"
        )

    def test_tells_no_time_left_at_the_very_beginning(self) -> None:
        events = stream("events", requests=4)
        events.expect(10_000, 100)
        assert told(events) == "10 s: 0 rows written, 4 requests of about 100 (4%)"

    def test_expects_as_many_requests_as_there_were_of_streams_that_do_not_tell(self) -> None:
        events = stream("events", requests=10)
        events.expect(3000, 30)
        text = told(events, stream("issues", requests=20))
        assert "30 requests of about 50 (60%)" in text

    def test_tells_no_share_where_more_were_needed_than_expected(self) -> None:
        events = stream("events", requests=40)
        events.expect(3000, 30)
        assert told(events) == "10 s: 0 rows written, 40 requests"

    def test_names_the_stream_whose_rows_are_written_now(self) -> None:
        events = stream("events", rows=10, requests=1)
        events.expect(20, 1)
        text = told(events, stream("issues"), at_work="events")
        assert text == "10 s: 10 rows written, 1 request, now events 10 of 20 rows"

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (59.4, "59 s"),
            (59.5, "1 min 0 s"),
            (119.6, "2 min 0 s"),
            (7199, "119 min 59 s"),
            (7200, "2 h 0 min"),
            (90_059, "25 h 0 min"),
        ],
    )
    def test_tells_the_time_in_words(self, seconds: float, text: str) -> None:
        assert told(seconds=seconds).startswith(f"{text}: ")

    def test_tells_what_it_waits_for(self) -> None:
        # Sentry's window ends in 30 s; the request that waits for it is let go by the test.
        asleep, gate = threading.Event(), threading.Event()

        def sleep(_: float) -> None:
            asleep.set()
            assert gate.wait(5)
            clock.now += 31

        clock = Clock(1000)
        sentry = client(Scripted(Reply(200, [])))
        report = RunReport(sentry, clock)
        limiter = RateLimiter(1000, clock=clock, sleep=sleep)
        sentry.limiter = limiter
        limiter.block("issues", 30)

        def ask() -> None:
            with limiter.slot("issues"):
                pass

        asking = threading.Thread(target=ask)
        asking.start()
        assert asleep.wait(5)
        text = told(report=report, seconds=0)
        gate.set()
        asking.join(5)
        assert text.endswith(", 1 request waits 30 s for Sentry's limit of issues")

    def test_tells_nothing_of_waits_below_a_second(self) -> None:
        assert "wait" not in told()


class TestTelling:
    def test_tells_again_and_again_and_not_after_the_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        report = RunReport(client(Scripted(Reply(200, []))), Clock(1000), every_s=0.001)
        events, others = stream("events", rows=7), set(threading.enumerate())
        with report.telling([events]):
            for _ in range(5000):
                if sum("7 rows written" in text for text in caplog.messages) >= 2:
                    break
                threading.Event().wait(0.001)
            else:
                raise AssertionError(caplog.messages)
            telling = set(threading.enumerate()) - others
        for thread in telling:
            thread.join(5)
            assert not thread.is_alive()

    def test_ends_after_an_error_too(self) -> None:
        report, others = run_report(), set(threading.enumerate())
        telling: set[threading.Thread] = set()

        def run() -> None:
            with report.telling([]):
                telling.update(set(threading.enumerate()) - others)
                raise OSError("lost")

        with pytest.raises(OSError, match="lost"):
            run()
        assert len(telling) == 1
        for thread in telling:
            thread.join(5)
            assert not thread.is_alive()


def run_report(*steps: Reply, ask: Iterator[str] | tuple[str, ...] = ()) -> RunReport:
    """A report whose client has asked for some paths."""
    clock = Clock(1000)
    sentry = client(Scripted(*(steps or (Reply(200, []),))), clock=clock)
    for path in ask:
        sentry.get(path)
    return RunReport(sentry, clock)


class TestResult:
    def test_tells_in_one_line_what_the_run_needed(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        sentry = client(Scripted(Reply(502), Reply(200, [])))
        sentry.get(PATH)
        sentry.get(ISSUES)
        with RunReport(sentry, clock).telling([stream("issues", rows=1234)]):
            caplog.clear()
            clock.now += 75
        (line,) = [text for text in caplog.messages if not text.startswith("METRIC")]
        assert line == (
            "Sync finished after 1 min 15 s: 3 requests (default 2, issues 1), 1 retried, "
            "held back by limits: never for a second, 0 parts skipped"
        )

    def test_tells_which_limits_held_it_back_and_how_long(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sentry = client(Scripted(Reply(200, [])))
        sentry.limiter.waited_s |= {"rate_limit": 61.0, "explore": 0.9, "issues": 1.0}
        with RunReport(sentry, Clock(1000)).telling([]):
            pass
        assert ", held back by limits: Sentry's limit of issues 1 s, rate_limit 1 min 1 s, " in (
            caplog.text
        )

    def test_is_told_after_an_error_as_well(self, caplog: pytest.LogCaptureFixture) -> None:
        report = run_report(ask=(PATH,))
        with pytest.raises(OSError, match="lost"), report.telling([stream("issues", rows=5)]):
            raise OSError("lost")
        (line,) = [text for text in caplog.messages if text.startswith("Sync ")]
        assert line.startswith("Sync stopped before its end")
        assert ": 1 request (default 1)" in line

    def test_gives_a_metric_for_each_endpoint(self, caplog: pytest.LogCaptureFixture) -> None:
        with run_report(Reply(502), Reply(200, []), ask=(PATH, ISSUES)).telling([]):
            pass
        assert [(point["value"], point["tags"]) for point in metrics(caplog)] == [
            (2, {"endpoint": "default", "retries": 1, "answering_seconds": 0.0}),
            (1, {"endpoint": "issues", "retries": 0, "answering_seconds": 0.0}),
        ]
        assert {point["metric"] for point in metrics(caplog)} == {"http_request_count"}

    def test_gives_a_metric_for_each_limit_that_held_back(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sentry = client(Scripted(Reply(200, [])))
        sentry.limiter.waited_s |= {"rate_limit": 61.0004, "explore": 0.0004, "issues": 0.25}
        with RunReport(sentry, Clock(1000)).telling([]):
            pass
        assert metrics(caplog) == [
            {"type": "timer", "metric": "rate_limit_wait", "value": value, "tags": tags}
            for value, tags in (
                (61.0, {"endpoint": "rate_limit"}),
                (0.25, {"endpoint": "issues"}),
            )
        ]

    def test_gives_a_metric_for_each_quota(self, caplog: pytest.LogCaptureFixture) -> None:
        sentry = client(Scripted(Reply(200, [])))
        with sentry.limiter.slot("issues") as slot:
            slot.learn(
                {
                    "X-Sentry-Rate-Limit-Limit": "3",
                    "X-Sentry-Rate-Limit-Remaining": "1",
                    "X-Sentry-Rate-Limit-Reset": "4000000000",
                }
            )
        with RunReport(sentry, Clock(1000)).telling([]):
            pass
        (point,) = metrics(caplog)
        assert (point["type"], point["metric"], point["value"]) == ("gauge", "rate_limit_quota", 3)
        assert point["tags"]["endpoint"] == "issues"
        assert point["tags"]["most_used"] == 0.6667
        assert point["tags"]["window_seconds"] >= 1

    def test_gives_its_metrics_after_an_error_too(self, caplog: pytest.LogCaptureFixture) -> None:
        report = run_report(ask=(PATH,))
        with pytest.raises(OSError, match="lost"), report.telling([]):
            raise OSError("lost")
        assert [point["metric"] for point in metrics(caplog)] == ["http_request_count"]


class TestRetries:
    def test_have_a_metric_each_before_they_wait(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = Clock(1000)
        sentry = client(Scripted(Reply(502), Reply(503), Reply(200, [])), clock=clock)
        RunReport(sentry, clock)
        sentry.get(PATH, [("query", "user.email:jane@example.com")])
        points = metrics(caplog)
        waits = [point.pop("value") for point in points]
        assert waits == pytest.approx(clock.slept[:2], abs=0.0006)
        tags = {"endpoint": "default", "path": PATH}
        assert points == [
            {
                "type": "timer",
                "metric": "http_retry",
                "tags": {**tags, "reason": reason, "attempt": attempt},
            }
            for reason, attempt in (("502", 2), ("503", 3))
        ]

    def test_hold_no_query_and_no_token(self, caplog: pytest.LogCaptureFixture) -> None:
        sentry = client(Scripted(Reply(502), Reply(200, [])))
        RunReport(sentry)
        sentry.get(PATH, [("query", "user.email:jane@example.com")])
        assert len(metrics(caplog)) == 1
        assert "jane" not in caplog.text
        assert BEARER not in caplog.text

    def test_are_told_two_hundred_times_at_most_and_all_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sentry = client(Scripted(Reply(429)))
        report = RunReport(sentry)
        for _ in range(12):  # with 19 retries each
            with pytest.raises(RateLimited):
                sentry.get(PATH)
        assert len(metrics(caplog)) == 200
        caplog.clear()
        with report.telling([]):
            pass
        (counted,) = (p for p in metrics(caplog) if p["metric"] == "http_request_count")
        assert counted["value"] == 240
        assert counted["tags"]["retries"] == 228


class TestSkipped:
    REASON = "GET /organizations/acme/replays/ answered 403"

    def test_parts_are_told_at_once_and_listed_at_the_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        report = run_report()
        with report.telling([]):
            report.skip("replays", "the rest", NotAvailable(self.REASON))
            report.skip("deploys", "a parent", NotAvailable("gone"))
            warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
            assert warned == [
                f"Skipped the rest of replays: {self.REASON}",
                "Skipped a parent of deploys: gone",
            ]
            caplog.clear()
        assert any("2 parts skipped: they are listed below" in text for text in caplog.messages)
        warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert warned == [
            f"Skipped: the rest of replays: {self.REASON}",
            "Skipped: a parent of deploys: gone",
        ]

    def test_parts_have_a_metric_each(self, caplog: pytest.LogCaptureFixture) -> None:
        report = run_report()
        with report.telling([]):
            report.skip("replays", "the rest", NotAvailable(self.REASON))
        tags = {"stream": "replays", "part": "the rest", "reason": self.REASON}
        assert metrics(caplog) == [
            {"type": "counter", "metric": "skipped_count", "value": 1, "tags": tags}
        ]

    def test_parts_are_listed_after_an_error_too(self, caplog: pytest.LogCaptureFixture) -> None:
        report = run_report()

        def run() -> None:
            with report.telling([]):
                report.skip("replays", "the rest", NotAvailable(self.REASON))
                raise OSError("lost")

        with pytest.raises(OSError, match="lost"):
            run()
        assert f"Skipped: the rest of replays: {self.REASON}" in caplog.messages

    def test_nothing_is_no_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        with run_report().telling([]):
            pass
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class TestMetric:
    def test_is_a_line_of_the_sdks_own_kind(self, caplog: pytest.LogCaptureFixture) -> None:
        log_metric("skipped_count", 2, stream="issues")
        (record,) = caplog.records
        assert record.name == "singer_sdk.metrics"
        assert metrics(caplog) == [
            {"type": "counter", "metric": "skipped_count", "value": 2, "tags": {"stream": "issues"}}
        ]

    def test_is_structured_where_the_log_is(self, caplog: pytest.LogCaptureFixture) -> None:
        log_metric("http_retry", 0.5, reason="503")
        line = json.loads(StructuredFormatter().format(caplog.records[0]))
        assert line["message"] == "METRIC"
        assert line["metric_info"] == {
            "type": "timer",
            "metric": "http_retry",
            "value": 0.5,
            "tags": {"reason": "503"},
        }

    def test_can_be_left_out_of_a_log_by_its_name(self, caplog: pytest.LogCaptureFixture) -> None:
        log_metric("http_retry", 0.5)
        assert not MetricExclusionFilter(metrics=["http_retry"]).filter(caplog.records[0])
        assert MetricExclusionFilter(metrics=["bookmark"]).filter(caplog.records[0])


class TestTraceContext:
    def test_is_what_the_environment_says(self, caplog: pytest.LogCaptureFixture) -> None:
        traceparent = f"00-{'0af7651916cd43dd8448eb211c80319c'}-{'b7ad6b7169203331'}-01"
        log_trace_context({"TRACEPARENT": traceparent})
        tags = {"traceparent": traceparent}
        assert metrics(caplog) == [
            {"type": "counter", "metric": "trace_context", "value": 1, "tags": tags}
        ]

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"TRACEPARENT": ""},
            {"TRACEPARENT": "secret"},
            {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}"},
            {"TRACEPARENT": f"00-{'A' * 32}-{'b' * 16}-01"},
            {"TRACEPARENT": f"00-{'a' * 31}-{'b' * 16}-01"},
            {"TRACEPARENT": f"00-{'0' * 32}-{'b' * 16}-01"},
            {"TRACEPARENT": f"00-{'a' * 32}-{'0' * 16}-01"},
            {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01\n"},
            {"TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01-more"},
        ],
    )
    def test_is_silent_without_a_traceparent(
        self, environment: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        log_trace_context(environment)
        assert caplog.messages == []
