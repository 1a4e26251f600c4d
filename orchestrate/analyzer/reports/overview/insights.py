"""What the overview says in sentences: each cites the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from orchestrate.analyzer import formats
from orchestrate.analyzer.goals import COVERAGE_GOAL, REUSE_GOAL
from orchestrate.analyzer.report import Insight, Tone
from orchestrate.analyzer.reports.overview.metrics import JUDGED, Found
from orchestrate.analyzer.reports.places import PLACE
from orchestrate.analyzer.reports.slo import State
from orchestrate.ledger.model import FAILED
from orchestrate.words import counted

_LISTED = 5
_OPPORTUNITIES = 1
# A job has grown slower if its newer half of good runs takes so much longer than its older half.
_GROWN, _GROWN_SECONDS, _FEWEST_RUNS = 1.25, 5.0, 10
_GOOD_SHARE = 0.95


def insights(found: Found) -> list[Insight]:
    """All that is worth a sentence, the worst first."""
    told = [
        *_runs(found),
        *_tests(found.tests),
        *_freshness(found.promised, found.elsewhere),
        *_planner(found),
        *_slower(found.history.runs),
        *_coverage(found),
        *_opportunities(found),
    ]
    worst_first = list(Tone)[::-1]
    return sorted(told, key=lambda insight: worst_first.index(insight.tone))


def _runs(found: Found) -> Iterator[Insight]:
    """The last run of each job that did not end well, and the rate of all."""
    ended = found.recent[found.recent["result"] != "running"]
    for _, last in ended.drop_duplicates(["environment", "job"]).iterrows():
        if last["result"] == "success":
            continue
        of_job = ended[
            (ended["environment"] == last["environment"]) & (ended["job"] == last["job"])
        ]
        bad = int((of_job["result"] != "success").cumprod().sum())
        times = "The last run" if bad == 1 else f"The last {bad} runs"
        cause = f": {last['cause']}" if last["cause"] else ""
        yield Insight(
            Tone.BAD,
            f"{times} of {_job(last)} did not succeed, last {last['started_at']:%Y-%m-%d %H:%M} "
            f"UTC ({last['result']}){cause}.",
        )
    runs = found.history.runs
    results = runs.loc[runs["result"] != "running", "result"]
    if len(results):
        good = int((results == "success").sum())
        tone = Tone.GOOD if good >= _GOOD_SHARE * len(results) else Tone.WARNING
        yield Insight(
            tone,
            f"{good:,} of {len(results):,} runs that ended succeeded "
            f"({formats.share(good / len(results))}).",
        )


def _tests(tests: pd.DataFrame) -> Iterator[Insight]:
    failing = tests[tests["status"].isin(FAILED)]
    warned = tests[tests["status"] == "warn"]
    if len(failing):
        yield Insight(
            Tone.BAD,
            f"{len(failing):,} of {_verdicts(tests)} fail now: {_places(failing)}.",
        )
    if len(warned):
        yield Insight(
            Tone.WARNING, f"{len(warned):,} of {_verdicts(tests)} warn: {_places(warned)}."
        )
    if len(tests) and not len(failing) and not len(warned):
        yield Insight(Tone.GOOD, f"All {_verdicts(tests)} passed when last asked.")


def _verdicts(tests: pd.DataFrame) -> str:
    """How many tests; where they are asked in several places, each counts in each."""
    places = len(tests[PLACE].drop_duplicates())
    return f"{len(tests):,} tests" + (f" in {places} places" if places > 1 else "")


def _freshness(promised: pd.DataFrame, elsewhere: pd.DataFrame) -> Iterator[Insight]:
    """What is late where it has to be fresh; what is late elsewhere is told beside, or alone."""
    judged = promised[promised["state"].isin(JUDGED)]
    late = judged[judged["state"] == State.LATE.value]
    for is_source, what in ((False, "models"), (True, "sources")):
        found = late[(late["kind"] == "source") == is_source]
        whole = int(((judged["kind"] == "source") == is_source).sum())
        if len(found):
            worst = found.assign(over=found["age_seconds"] / found["limit_seconds"])
            worst = worst.sort_values("over", ascending=False, kind="stable")
            first = worst.iloc[0]
            yield Insight(
                Tone.WARNING if is_source else Tone.BAD,
                f"{len(found):,} of {whole:,} {what} are late: {_places(worst)}. "
                f"{first['name']} is {formats.duration(first['age_seconds'])} old and may be "
                f"{formats.duration(first['limit_seconds'])} ({first['limit_from']}).",
            )
    if len(judged) and not len(late):
        idle = int((judged["state"] == State.IDLE.value).sum())
        still = f"; {idle:,} are idle: a build would bring nothing new" if idle else ""
        yield Insight(
            Tone.GOOD,
            f"All {len(judged):,} models and sources of {_environments(promised)} that have a "
            f"limit and can be judged are in time{still}.",
        )
    others = elsewhere[elsewhere["state"] == State.LATE.value]
    if len(others):
        yield Insight(
            Tone.NOTE,
            f"Not counted among those in time or late: {counted(len(others), 'table')} of "
            f"{_environments(others)} older than its limit, where no run comes by schedule.",
        )


def _planner(found: Found) -> Iterator[Insight]:
    shadow, reuse = found.shadow, found.reuse
    if shadow and shadow.part:
        yield Insight(
            Tone.BAD,
            f"The reuse planner was wrong in {shadow.part:,} of {shadow.whole:,} reuses judged in "
            f"the shadow ({formats.share(shadow.share)}). Set DBT_REUSE=off until it is known why.",
        )
    elif shadow:
        yield Insight(
            Tone.GOOD,
            f"The reuse planner was wrong in none of {shadow.whole:,} reuses judged in the shadow: "
            f"its rate of errors is at most {shadow.high * 100:.2g} % with 95 % confidence.",
        )
    if reuse:
        is_met = reuse.share >= REUSE_GOAL
        yield Insight(
            Tone.GOOD if is_met else Tone.NOTE,
            f"Nodes were reused {reuse.part:,} of {reuse.whole:,} times "
            f"({formats.share(reuse.share)}), {'at least' if is_met else 'less than'} the goal of "
            f"{formats.share(REUSE_GOAL)}.",
        )


def _slower(runs: pd.DataFrame) -> Iterator[Insight]:
    """Jobs whose good runs take longer in the newer half than in the older."""
    good = runs[runs["result"] == "success"].sort_values("started_at", kind="stable")
    for (environment, job), of_job in good.groupby(["environment", "job"], observed=True):
        if len(of_job) < _FEWEST_RUNS:
            continue
        half = len(of_job) // 2
        before = of_job["run_seconds"].iloc[:half].median()
        after = of_job["run_seconds"].iloc[half:].median()
        if after >= _GROWN * before and after - before >= _GROWN_SECONDS:
            yield Insight(
                Tone.WARNING,
                f"{job} ({environment or 'no environment'}) takes longer: "
                f"{formats.duration(after)} in the median of its newer {len(of_job) - half:,} good "
                f"runs, {formats.duration(before)} in its older {half:,} "
                f"({formats.share(after / before - 1)} more).",
            )


def _coverage(found: Found) -> Iterator[Insight]:
    sources = found.coverage[found.coverage["kind"] == "source"]
    open_ended = sources.loc[~sources["has_limit"], "name"].tolist()
    if open_ended:
        yield Insight(
            Tone.WARNING,
            f"{len(open_ended):,} of {len(sources):,} sources have no limit (warn_after): "
            f"{_names(open_ended)}. Nobody is told when they stand still.",
        )
    whole = len(found.coverage)
    if whole:
        share = found.declared / whole
        is_met = share >= COVERAGE_GOAL
        yield Insight(
            Tone.GOOD if is_met else Tone.NOTE,
            f"{found.declared:,} of {whole:,} models and sources declare their freshness "
            f"({formats.share(share)}), {'at least' if is_met else 'less than'} the goal of "
            f"{formats.share(COVERAGE_GOAL)}.",
        )


def _opportunities(found: Found) -> Iterator[Insight]:
    listed = found.opportunities
    if len(listed) and (listed["certainty"] == "unknown").all():
        hint = (
            "a run with DBT_REUSE=shadow builds everything all the same and tells what it would "
            "have saved"
            if found.history.state_aware is None
            else "state-aware orchestration is switched on in the settings of a job of dbt Cloud"
        )
        yield Insight(
            Tone.NOTE, f"Nothing is known of reuse in {counted(len(listed), 'job')} of dbt: {hint}."
        )
    known = listed[listed["saved_node_seconds_per_day"] > 0]
    for _, job in known.head(_OPPORTUNITIES).iterrows():
        yield Insight(
            Tone.NOTE,
            f"With the reuse planner {_job(job)} would save "
            f"{formats.duration(job['saved_node_seconds_per_day'])} of "
            f"{formats.duration(job['node_seconds_per_day'])} of dbt's node time a day "
            f"({job['certainty']}: {job['basis']}; priority {job['priority']}).",
        )


def _environments(rows: pd.DataFrame) -> str:
    return ", ".join(sorted(name or "no environment" for name in rows["environment"].unique()))


def _job(row: pd.Series) -> str:
    return f"{row['job']} ({row['environment'] or 'no environment'})"


def _places(rows: pd.DataFrame) -> str:
    """Names with the environments that they are meant in."""
    return _names(
        f"{name} ({environment or 'no environment'})"
        for name, environment in zip(rows["name"], rows["environment"], strict=True)
    )


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more
