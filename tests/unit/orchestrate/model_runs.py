"""A small project and runs of it, for what is said of models."""

from __future__ import annotations

from typing import Any

from orchestrate.analyzer import loading
from orchestrate.analyzer.choice import Choice, choose
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Insight, Report
from orchestrate.analyzer.reports.models import report
from orchestrate.ledger.model import (
    FreshnessResult,
    ManifestNode,
    NodeRun,
    ReuseDecision,
)
from orchestrate.ledger.store import Ledger
from tests.unit.orchestrate import records

OLD, NEW = "a" * 64, "b" * 64
SOURCE, STAGED, FACTS = "source.sentry.sentry.issues", "model.sentry.stg", "model.sentry.facts"
PART, MART, LEFT, SEED = (
    "model.sentry.part",
    "model.other.mart",
    "model.sentry.left",
    "seed.sentry.teams",
)
UNIQUE, MATCH = "test.sentry.unique_facts", "test.sentry.facts_match_stg"
HOUR_S = 3_600


def described(unique_id: str, *depends_on: str, **fields: Any) -> ManifestNode:
    kind, package, *_, name = unique_id.split(".")
    facts: dict[str, Any] = {
        "manifest_hash": NEW,
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package": package,
        "path": f"models/marts/{name}.sql",
        "depends_on": list(depends_on),
        "config": {"materialized": "table"},
    }
    return ManifestNode(**(facts | fields))


def project() -> list[ManifestNode]:
    """A source, staged; facts read that, through an ephemeral model too; a mart reads them."""
    limits = {
        "warn_after": {"count": 30, "period": "minute"},
        "error_after": {"count": 1, "period": "day"},
    }
    cadence = {"build_after": {"count": 4, "period": "hour", "updates_on": "all"}}
    nothing = {"build_after": {"count": None, "period": None}}
    return [
        described(SOURCE, config={"freshness": limits}, path="models/staging/_sources.yml"),
        described(
            STAGED,
            SOURCE,
            config={"materialized": "view", "freshness": nothing},
            path="models/staging/stg.sql",
            tags=["staging"],
        ),
        described(PART, STAGED, config={"materialized": "ephemeral"}),
        described(
            FACTS,
            STAGED,
            PART,
            owner="Ana",
            tags=["marts", "nightly"],
            config={
                "materialized": "table",
                "contract": {"enforced": True},
                "freshness": cadence,
                "meta": {},
            },
        ),
        described(MART, FACTS, owner="Bo", tags=["marts"]),
        described(LEFT),
        described(SEED, path="seeds/teams.csv", config={"materialized": "seed"}),
        described(UNIQUE, FACTS, config={"severity": "ERROR"}, path="models/marts/facts.yml"),
        described(MATCH, FACTS, STAGED, path="tests/facts_match_stg.sql", config={}),
    ]


class Runs:
    """Fills a ledger with runs, one an hour, and gives what the page says of them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.count = 0
        ledger.save(project())

    def add(self, *nodes: NodeRun | ReuseDecision | FreshnessResult, **fields: Any) -> None:
        """A run with one invocation of dbt, in which this became of nodes."""
        begin = self.count * HOUR_S
        environment = fields.get("environment", "prod")
        invocation = records.invocation(
            run_id=f"r{self.count}",
            environment=environment,
            target=fields.get("target", "warehouse"),
            started_us=records.at(begin + 5),
            ended_us=records.at(begin + 50),
            manifest_hash=fields.get("manifest_hash", NEW),
        )
        invocation.invocation_id = f"i{self.count}"
        run = records.run(
            f"r{self.count}",
            environment=environment,
            started_us=records.at(begin),
            heard_us=records.at(begin + 60),
            ended_us=records.at(begin + 60),
        )
        self.ledger.save([run, invocation])
        for node in nodes:
            node.invocation_id = invocation.invocation_id
            if isinstance(node, NodeRun):
                for name in ("started_us", "ended_us"):
                    instant = getattr(node, name)
                    setattr(node, name, instant and instant + begin * 1_000_000)
        self.ledger.save(nodes)
        self.count += 1

    def history(self, choice: Choice) -> History:
        now_us = records.at(self.count * HOUR_S)
        return loading.load(self.ledger.path, days=0, now_us=now_us).chosen(choice)

    def report(self, **chosen: Any) -> Report:
        choice = choose(chosen)
        return report(self.history(choice), choice)

    def node(self, unique_id: str, **chosen: Any) -> dict[str, Any]:
        """A node's row of the table of all."""
        frame = self.report(**chosen).tables["nodes"].frame
        row: dict[str, Any]
        (row,) = frame[frame["unique_id"] == unique_id].to_dict("records")
        return row


def ran(
    unique_id: str, status: str | None = "success", seconds: float = 2, **fields: Any
) -> NodeRun:
    """A node from the tenth second of its run on; one that was not begun has no time."""
    idle = status in {"skipped", "reused"}
    begin, end = (None, None) if idle else (10.0, 10 + seconds)
    return records.node(unique_id, begin, end, **{"status": status, "thread": None, **fields})


def decided(unique_id: str, decision: str, reason: str, **fields: Any) -> ReuseDecision:
    facts = {"invocation_id": "", "mode": "on", "detail": "nothing has changed"} | fields
    return ReuseDecision(unique_id=unique_id, decision=decision, reason=reason, **facts)


def looked(status: str, age_s: float | None, at_s: float) -> FreshnessResult:
    return FreshnessResult(
        invocation_id="",
        unique_id=SOURCE,
        status=status,
        age_s=age_s,
        warn_after_s=1_800.0,
        error_after_s=86_400.0,
        snapshotted_at_us=records.at(at_s),
        max_loaded_at_us=None if age_s is None else records.at(at_s - age_s),
    )


def metric(found: Report, name: str) -> Any:
    return next(one.value for one in found.metrics if one.name == name)


def texts(insights: list[Insight]) -> str:
    return "\n".join(one.text for one in insights)
