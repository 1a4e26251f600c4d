"""METRIC lines of the tap -> rows of streams and requests. Names: the SDK's and tap-sentry's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrate.ledger.files import parsed
from orchestrate.ledger.meltano.open_run import OpenRun
from orchestrate.ledger.model import Result, Step

_METRIC = "METRIC: "
# Beyond it a figure is none, and SQLite may not take it: that must not stop the reading for ever.
_MOST = 1e12

Tags = dict[str, Any]


def told(line: dict[str, Any], event: str) -> dict[str, Any] | None:
    """What a METRIC line tells, as fields or as text; None for other lines."""
    if isinstance(line.get("metric_info"), dict):
        return dict(line["metric_info"])
    if event.startswith(_METRIC):
        return parsed(event.removeprefix(_METRIC).encode()) or {}
    return None


def read(run: OpenRun, step: Step, metric: dict[str, Any], at_us: int) -> None:
    """Take over a figure; one that is not known or has no number says nothing."""
    reader = _READERS.get(str(metric.get("metric")))
    value, tags = metric.get("value"), metric.get("tags")
    if reader and isinstance(tags, dict) and (figure := number(value)) is not None:
        reader(run, step, figure, tags, at_us)


def number(value: object) -> float | None:
    """The value if it is a figure, else None."""
    return value if isinstance(value, (int, float)) and abs(value) < _MOST else None


def _whole(value: object) -> int | None:
    return None if (figure := number(value)) is None else int(figure)


def _rows(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    run.stream(step, str(tags.get("stream"))).rows += int(value)


def _duration(run: OpenRun, step: Step, value: float, tags: Tags, at_us: int) -> None:
    stream = run.stream(step, str(tags.get("stream")))
    began_us = at_us - round(value * 1e6)
    stream.started_us = min(stream.started_us or began_us, began_us)
    stream.ended_us = at_us
    failed = tags.get("status") != "succeeded" or stream.result == Result.FAILURE
    stream.result = Result.FAILURE if failed else Result.SUCCESS


def _stream_requests(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    stream = run.stream(step, str(tags.get("stream")))
    stream.requests = int(value)
    stream.planned_rows = _whole(tags.get("planned_rows"))
    stream.planned_requests = _whole(tags.get("planned_requests"))


def _bookmark(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    run.stream(step, str(tags.get("stream"))).bookmark_us = round(value * 1e6)


def _requests(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    total = run.total(step, str(tags.get("endpoint")))
    total.requests += int(value)
    total.retries += _whole(tags.get("retries")) or 0
    total.answering_s += number(tags.get("answering_seconds")) or 0.0


def _quota(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    total = run.total(step, str(tags.get("endpoint")))
    total.quota_requests = int(value)
    total.quota_window_s = number(tags.get("window_seconds"))
    total.quota_used = number(tags.get("most_used"))


def _wait(run: OpenRun, step: Step, value: float, tags: Tags, _: int) -> None:
    run.total(step, str(tags.get("endpoint"))).waited_s += value


def _retry(run: OpenRun, step: Step, value: float, tags: Tags, at_us: int) -> None:
    run.retry(step, at_us, str(tags.get("endpoint")), str(tags.get("reason")), float(value))


def _skipped(run: OpenRun, step: Step, _value: float, tags: Tags, _: int) -> None:
    run.skip(step, str(tags.get("stream")), str(tags.get("part")), str(tags.get("reason")))


# The SDK's and tap_sentry/progress.py's.
_READERS: dict[str, Callable[[OpenRun, Step, float, Tags, int], None]] = {
    "record_count": _rows,
    "sync_duration": _duration,
    "stream_request_count": _stream_requests,
    "bookmark": _bookmark,
    "http_request_count": _requests,
    "rate_limit_quota": _quota,
    "rate_limit_wait": _wait,
    "http_retry": _retry,
    "skipped_count": _skipped,
}
