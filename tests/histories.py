"""A month of an invented project in a ledger, for the analyzer's tests and pictures.

`prod` runs hourly and nightly, `dev` by hand, `ci` on the sample; models fail, tests flake, a
process is killed, nights are quiet, the reuse planner is first in the shadow and then on, and the
project changes once. What happens follows from a seed, so every month is the same but for its end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from orchestrate.ledger import identity
from orchestrate.ledger.instants import microseconds
from orchestrate.ledger.model import (
    DbtInvocation,
    FreshnessResult,
    NodeRun,
    PipelineRun,
    RequestTotal,
    Result,
    Retry,
    ReuseDecision,
    Row,
    SkippedPart,
    Step,
    StreamSync,
)
from orchestrate.ledger.store import Ledger
from tests.histories_project import (
    BROKEN_LATER,
    CHANGED,
    ENDPOINTS,
    FLAKY,
    MODEL,
    MODELS,
    NEW_LATER,
    SOURCE,
    STREAMS,
    hash_of,
    manifest,
    manifest_hash_of,
    relation,
    tests_of,
)

HOURLY, NIGHTLY, BY_HAND, CHECK = (
    "sentry-to-marts",
    "nightly-marts",
    "tap-sentry target-duckdb dbt",
    "dbt:build",
)
MELTANO_YML = f"""
schedules:
  - {{name: sentry-hourly, interval: "@hourly", job: {HOURLY}}}
  - {{name: sentry-nightly, interval: "30 2 * * *", job: {NIGHTLY}}}
"""
_HOUR = timedelta(hours=1)


@dataclass
class Month:
    """Rows of the month before an instant."""

    now: datetime
    seed: int = 7
    days: int = 30
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def rows(self) -> Iterator[Row]:
        """All of it, run by run."""
        for version in (0, 1):
            yield from manifest(version)
        runs = 0
        for hours in range(self.days * 24, 0, -1):
            at = self.now - hours * _HOUR
            for due in self._due(at):
                runs += 1
                yield from _Run(self, runs, due).rows()

    def _due(self, at: datetime) -> Iterator[_Due]:
        yield _Due("prod", HOURLY, "schedule", at + timedelta(minutes=2))
        if at.hour == 2:
            yield _Due("prod", NIGHTLY, "schedule", at + timedelta(minutes=31))
        is_work = at.weekday() < 5 and 9 <= at.hour <= 17
        some = timedelta(minutes=self.random.randrange(10, 50))
        if is_work and self.random.random() < 0.15:
            yield _Due("dev", BY_HAND, "cli", at + some)
        if is_work and self.random.random() < 0.1:
            yield _Due("ci", CHECK, "ci", at + some)


class _Due(NamedTuple):
    environment: str
    job: str
    trigger: str
    at: datetime


class _Run:
    """One run, begun at an instant: what it does is decided while its rows are asked for."""

    def __init__(self, month: Month, number: int, due: _Due) -> None:
        self.random, at = month.random, due.at
        self.run_id = f"01a1{number:04x}-0000-7000-8000-{number:012x}"
        self.invocation_id = f"{number:08x}-aaaa-4000-8000-{number:012x}"
        self.environment, self.job, self.trigger, _ = due
        self.age_days = (month.now - at) / timedelta(days=1)
        self.version = int(self.age_days < 9)
        self.clock = microseconds(at)
        self.mode = ""
        if self.environment == "prod":
            self.mode = "on" if self.age_days < 10 else "shadow" if self.age_days < 18 else ""
        self.quiet = at.hour < 5 and self.random.random() < 0.8
        self.fate = self.random.choices(
            ("good", "model", "tap", "killed"), (0.955, 0.02, 0.015, 0.01)
        )[0]

    def rows(self) -> Iterator[Row]:
        began = self.clock
        self.clock += 1_500_000
        error, result = None, "success"
        position = 0
        if self.job != CHECK:
            yield from self._extract()
            position = 1
        if self.fate == "tap":
            error, result = "Extractor failed: GET .../events/ answered 503 six times", "failure"
        else:
            yield from self._transform(position)
            if self.fate == "model":
                error, result = "dbt ended with exit code 1", "failure"
            if self.fate == "killed":
                error, result = "Its process was gone.", "killed"
        self.clock += 700_000
        trace_id = identity.trace_id(self.run_id)
        yield PipelineRun(
            run_id=self.run_id,
            trace_id=trace_id,
            span_id=identity.span_id(trace_id, self.run_id),
            started_us=began,
            heard_us=self.clock,
            environment=self.environment,
            job=self.job,
            trigger=self.trigger,
            host="worker-1",
            pid=4000,
            branch="main",
            revision=f"{7 + self.version:040x}",
            ended_us=self.clock,
            result=Result(result),
            error=error,
        )

    def _extract(self) -> Iterator[Row]:
        began, busy = self.clock, 0.1 if self.quiet else 1 + 0.4 * (30 - self.age_days) / 30
        is_broken = self.fate == "tap"
        totals: dict[str, list[float]] = {}
        for stream, usual in STREAMS.items():
            rows = int(usual * busy * self.random.uniform(0.8, 1.2)) if not self.quiet else 0
            requests = 1 + -(-rows // 100)
            started = self.clock
            self.clock += int(requests * 60_000 * self.random.uniform(0.8, 1.4))
            failed = is_broken and stream == "events"
            yield StreamSync(
                run_id=self.run_id,
                position=0,
                stream=stream,
                started_us=started,
                ended_us=self.clock,
                rows=rows,
                stored_rows=0 if failed else rows,
                requests=requests,
                planned_rows=int(rows * self.random.uniform(0.9, 1.05)),
                planned_requests=max(1, requests - self.random.randrange(2)),
                bookmark_us=started - 300_000_000,
                result=Result.FAILURE if failed else Result.SUCCESS,
            )
            endpoint, quota, _ = ENDPOINTS[stream]
            total = totals.setdefault(endpoint, [0, 0, 0, 0])
            total[0] += requests
            total[1] += 6 if failed else 0
            total[2] += requests / quota * 2
            total[3] = max(total[3], min(1.0, requests / quota * 0.7))
            if failed:
                break
        for endpoint, (requests_made, retries, waited, used) in totals.items():
            quota, window = next(
                (quota, window) for name, quota, window in ENDPOINTS.values() if name == endpoint
            )
            yield RequestTotal(
                run_id=self.run_id,
                position=0,
                endpoint=endpoint,
                requests=int(requests_made + retries),
                retries=int(retries),
                waited_s=round(waited, 3),
                answering_s=round(requests_made * 0.11, 3),
                quota_requests=quota,
                quota_window_s=window,
                quota_used=round(used, 4),
            )
            if retries:
                for number in range(6):
                    yield Retry(
                        run_id=self.run_id,
                        position=0,
                        number=number,
                        at_us=self.clock + number,
                        endpoint=endpoint,
                        reason="answered 503",
                        wait_s=2.0**number,
                    )
        yield RequestTotal(
            run_id=self.run_id, position=0, endpoint="rate_limit", waited_s=0.2 * busy
        )
        if self.random.random() < 0.05:
            yield SkippedPart(
                run_id=self.run_id,
                position=0,
                stream="spans",
                part="storefront 2026-11-01",
                reason="answered 400: the time range is too old",
            )
        yield Step(
            run_id=self.run_id,
            position=0,
            name="tap-sentry target-duckdb",
            kind="extract_load",
            started_us=began,
            ended_us=self.clock,
            state_id=f"{self.environment}:tap-sentry-to-target-duckdb",
            result=Result.FAILURE if is_broken else Result.SUCCESS,
            error="Extractor failed" if is_broken else None,
        )

    def _transform(self, position: int) -> Iterator[Row]:
        self.clock += 20_000
        began = self.clock
        decisions = list(self._decisions()) if self.mode else []
        if decisions:
            self.clock += 1_800_000
            planned = f"{self.invocation_id[:8]}-bbbb{self.invocation_id[13:]}"
            yield self._invocation(planned, began, "compile", Result.SUCCESS)
            for decision in decisions:
                decision.invocation_id = planned
                yield decision
        reused = {
            decision.unique_id: decision
            for decision in decisions
            if self.mode == "on" and decision.decision == "reuse"
        }
        for unique_id, decision in reused.items():
            yield NodeRun(
                invocation_id=decision.invocation_id,
                unique_id=unique_id,
                resource_type=unique_id.split(".")[0],
                name=unique_id.split(".")[2],
                relation=relation(self.environment, unique_id.split(".")[2]),
                status="reused",
                message=decision.detail,
            )
        started = self.clock
        self.clock += 1_200_000
        yield from self._build(reused)
        self.clock += 900_000
        result = {"model": Result.FAILURE, "killed": Result.KILLED}.get(self.fate, Result.SUCCESS)
        yield self._invocation(self.invocation_id, started, "build", result)
        if self.environment == "prod" and self.job == NIGHTLY:
            yield from self._freshness()
        yield Step(
            run_id=self.run_id,
            position=position,
            name="dbt:build",
            kind="command",
            started_us=began,
            ended_us=self.clock,
            result=result,
        )

    def _invocation(self, name: str, started: int, command: str, result: Result) -> DbtInvocation:
        return DbtInvocation(
            invocation_id=name,
            run_id=self.run_id,
            started_us=started,
            heard_us=self.clock,
            ended_us=self.clock,
            command=command,
            arguments=["build"],
            environment=self.environment,
            target="sample" if self.environment == "ci" else "warehouse",
            threads=2,
            dbt_version="1.11.12",
            exit_code=int(result != Result.SUCCESS),
            result=result,
            manifest_hash=manifest_hash_of(self.version),
            parsed_us=started + 900_000,
        )

    def _models(self) -> dict[str, tuple[tuple[str, ...], float, str, str]]:
        return {name: told for name, told in MODELS.items() if self.version or name != NEW_LATER}

    def _decisions(self) -> Iterator[ReuseDecision]:
        moved = set() if self.quiet else {"spans", "events", "issues"}
        dirty = {f"{SOURCE}{stream}" for stream in moved}
        if self.random.random() < 0.1:
            dirty.add(f"{SOURCE}releases")
        for name, (reads, _, kind, _) in self._models().items():
            inputs = {one if one.startswith("source") else f"{MODEL}{one}" for one in reads}
            unique_id = f"{MODEL}{name}"
            is_dirty = bool(inputs & dirty) and kind != "view"
            if inputs & dirty:
                dirty.add(unique_id)
            outcome = None
            if is_dirty:
                # A build of what changed upstream may change nothing all the same.
                outcome = "identical" if self.random.random() < 0.15 else "changed"
            elif self.mode == "shadow":
                outcome = "identical"
            yield ReuseDecision(
                invocation_id="",
                unique_id=unique_id,
                mode=self.mode,
                decision="build" if is_dirty else "reuse",
                reason="input" if is_dirty else "unchanged",
                detail=f"{reads[0]} has other rows" if is_dirty else "nothing it reads changed",
                outcome=outcome,
            )

    def _build(self, reused: dict[str, ReuseDecision]) -> Iterator[Row]:
        """Two threads take what is ready, in the order of the project."""
        free = [self.clock, self.clock]
        ended: dict[str, int] = {}
        broken: set[str] = set()
        victim = self.random.choice(["int_errors", "fct_traces", "fct_release_quality"])
        left = 6 if self.fate == "killed" else 10_000
        for name, (reads, seconds, kind, _) in self._models().items():
            unique_id = f"{MODEL}{name}"
            if unique_id in reused:
                continue
            left -= 1
            if left < 0:
                return
            status, message = "success", None
            if self.fate == "model" and name == victim:
                status = "error"
                message = (
                    f"Runtime Error in model {name} (models/{name}.sql)\n  Out of Memory Error: "
                    f"could not allocate block of {self.random.randrange(9)} MB"
                )
            if broken & set(reads):
                status, message = "skipped", None
            thread = free.index(min(free))
            ready = max([free[thread], *(ended.get(one, 0) for one in reads)])
            grown = 1 + 0.5 * (name == "fct_traces") * (self.age_days < 12)
            took = (
                0 if status == "skipped" else 3 * seconds * grown * self.random.uniform(0.85, 1.2)
            )
            if status != "success":
                broken.add(name)
            free[thread] = ended[name] = ready + int(took * 1e6)
            yield NodeRun(
                invocation_id=self.invocation_id,
                unique_id=unique_id,
                resource_type="model",
                name=name,
                relation=relation(self.environment, name),
                materialized=kind,
                status=status,
                thread=f"Thread-{thread + 1}",
                started_us=ready,
                ended_us=ended[name],
                message=message,
                rows_affected=self.random.randrange(10, 5000) if status == "success" else None,
                code_hash=f"{hash_of(name)}{int(name == CHANGED and self.version)}",
            )
            for test in tests_of(name):
                yield self._test(test, name, status, free)
        self.clock = max(free)

    def _test(self, test: str, model: str, status: str, free: list[int]) -> NodeRun:
        thread = free.index(min(free))
        started = free[thread]
        verdict, failures = "pass", 0
        if status != "success":
            verdict = "skipped"
        elif test.startswith("unique") and model == FLAKY and self.random.random() < 0.06:
            verdict, failures = "fail", self.random.randrange(1, 5)
        elif model == BROKEN_LATER and test.startswith("unique") and self.age_days < 2:
            verdict, failures = "warn", 3
        free[thread] += 0 if verdict == "skipped" else 40_000
        return NodeRun(
            invocation_id=self.invocation_id,
            unique_id=f"test.sentry.{test}.{hash_of(test)}",
            resource_type="test",
            name=test,
            materialized="test",
            status=verdict,
            thread=f"Thread-{thread + 1}",
            started_us=started,
            ended_us=free[thread],
            failures=failures if verdict != "skipped" else None,
            message=f"Got {failures} results, configured to fail if != 0" if failures else None,
        )

    def _freshness(self) -> Iterator[Row]:
        name = f"{self.invocation_id[:8]}-cccc{self.invocation_id[13:]}"
        started = self.clock
        self.clock += 1_100_000
        yield self._invocation(name, started, "source", Result.SUCCESS)
        for stream in STREAMS:
            age = self.random.uniform(600, 30_000)
            yield FreshnessResult(
                invocation_id=name,
                unique_id=f"{SOURCE}{stream}",
                status="pass" if age < 21_600 else "warn",
                max_loaded_at_us=started - int(age * 1e6),
                snapshotted_at_us=started,
                age_s=age,
                warn_after_s=21_600.0,
                error_after_s=86_400.0,
            )


def write(output: Path, now: datetime, *, days: int = 30, seed: int = 7) -> None:
    """A project's folder `output` with that month in its ledger, and its meltano.yml beside it."""
    with Ledger(output / "ledger.db") as ledger, ledger.writing():
        ledger.save(Month(now, seed=seed, days=days).rows())
    (output.parent / "meltano.yml").write_text(MELTANO_YML, encoding="utf-8")


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]), datetime.now(timezone.utc))
