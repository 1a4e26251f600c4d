"""Lines as Meltano writes them, for a run that a test makes up."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

START = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
RUN_ID = "01a1ffd1-54fd-7a61-9872-3dc4b16907d5"


def us(seconds: float) -> int:
    """Microseconds of the instant so long after START."""
    return round((START + timedelta(seconds=seconds)).timestamp() * 1e6)


class Log:
    """A log file that grows line by line; each line so many seconds after START."""

    def __init__(self, path: Path, run_id: str = RUN_ID) -> None:
        self.path = path
        self.run_id = run_id
        path.parent.mkdir(parents=True, exist_ok=True)

    def line(self, seconds: float, event: str, **fields: Any) -> None:
        """Any line of the run."""
        instant = f"{(START + timedelta(seconds=seconds)):%Y-%m-%dT%H:%M:%S.%fZ}"
        known = {"event": event, "run_id": self.run_id, "level": "info", "timestamp": instant}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**known, **fields}) + "\n")

    def started(self, seconds: float, **fields: Any) -> None:
        """The line of orchestrate/meltano_run.py."""
        known = {
            "job": "sentry-to-marts",
            "suffix": None,
            "steps": [
                {"name": "tap-sentry target-duckdb", "kind": "extract_load"},
                {"name": "dbt:build", "kind": "command"},
            ],
            "environment": "demo",
            "arguments": ["run", "sentry-to-marts"],
            "trigger": "cli",
            "host": "worker-1",
            "pid": 4711,
            "traceparent": f"00-{self.run_id.replace('-', '')}-00f067aa0ba902b7-01",
            "parent": None,
            "branch": "main",
            "revision": "55d7fe2c43333c09922a29db2e160875f34e0a56",
        }
        self.line(seconds, "Run started", **{**known, **fields})

    def tap(self, seconds: float, event: str, **fields: Any) -> None:
        """A line of the extractor."""
        known = {
            "stdio": "stderr",
            "consumer": False,
            "producer": True,
            "string_id": "tap-sentry",
            "cmd_type": "elb",
            "name": "tap-sentry",
        }
        self.line(seconds, event, **{**known, **fields})

    def metric(self, seconds: float, name: str, value: Any, **tags: Any) -> None:
        """A METRIC line of the SDK, which comes as fields."""
        told = {"type": "counter", "metric": name, "value": value, "tags": tags}
        self.tap(seconds, "METRIC", metric_info=told)

    def told(self, seconds: float, name: str, value: Any, **tags: Any) -> None:
        """A METRIC line as text."""
        metric = {"type": "counter", "metric": name, "value": value, "tags": tags}
        self.tap(seconds, f"METRIC: {json.dumps(metric)}")

    def stored(self, seconds: float, stream: str, so_far: int) -> None:
        """A line of the loader."""
        self.line(
            seconds,
            f"{stream}: {so_far} rows stored",
            stdio="stderr",
            consumer=True,
            producer=False,
            string_id="target-duckdb",
            cmd_type="elb",
            name="target-duckdb",
            stream_name=stream,
            rows=so_far,
            rows_so_far=so_far,
        )

    def dbt(self, seconds: float, event: str) -> None:
        """A line of dbt's launcher."""
        self.line(seconds, event, stdio="stderr", cmd_type="command", name="dbt")

    def block(self, seconds: float, number: int, took_s: float, error: str | None = None) -> None:
        """A step is over."""
        self.line(
            seconds,
            "Block run completed",
            set_number=number,
            block_type="InvokerCommand" if number else "ExtractLoadBlocks",
            success=error is None,
            err=error,
            duration_seconds=took_s,
            level="error" if error else "info",
        )

    def completed(self, seconds: float, status: str = "success") -> None:
        """The run is over."""
        self.line(seconds, "Run completed", duration_seconds=seconds, status=status)

    def extract(self) -> None:
        """From 0 to 11 seconds: two streams, limits, a part that is skipped."""
        self.started(0)
        self.line(1, f"Running job with name 'demo:tap-sentry' and run ID '{self.run_id}'")
        self.tap(2, "Beginning sync of 'issues' in incremental replication mode with context: {}")
        self.metric(4, "record_count", 150, stream="issues", context={})
        self.metric(4, "sync_duration", 1.5, stream="issues", context={}, status="succeeded")
        self.tap(4, "Beginning sync of 'events' in incremental replication mode with context: {}")
        self.told(5, "http_retry", 1.25, endpoint="project_events", reason="429", attempt=2)
        for part, at in (("1", 7.0), ("2", 9.0)):
            self.metric(at, "record_count", 10, stream="events", context={"projectID": part})
            self.metric(at, "sync_duration", 2.0, stream="events", context={}, status="succeeded")
        self.stored(9.5, "issues", 100)
        self.stored(9.6, "issues", 150)
        self.stored(9.7, "events", 20)
        self.told(
            10, "stream_request_count", 6, stream="events", planned_rows=20, planned_requests=5
        )
        self.told(10, "bookmark", us(-300) / 1e6, stream="events", parts=2)
        self.told(
            10,
            "http_request_count",
            6,
            endpoint="project_events",
            retries=1,
            answering_seconds=2.5,
        )
        self.told(
            10,
            "rate_limit_quota",
            60,
            endpoint="project_events",
            window_seconds=60,
            most_used=0.1,
        )
        self.told(10, "rate_limit_wait", 1.25, endpoint="project_events")
        self.told(10, "rate_limit_wait", 0.5, endpoint="rate_limit")
        self.told(10, "skipped_count", 1, stream="events", part="project web", reason="403")
        self.tap(10, "Skipped: project web of events: 403", level="warning")
        self.block(11, 0, 10)
