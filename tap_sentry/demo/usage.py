"""What was accepted and refused per hour, `O/stats_v2/`: Sentry's own bookkeeping.

Accepted errors, spans, replays and check-ins are those that the world holds; the rest is made up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from tap_sentry.demo import dates, sessions
from tap_sentry.demo.calls import Call
from tap_sentry.demo.catalogue import PROJECTS
from tap_sentry.demo.exchange import Answer, bad_request
from tap_sentry.demo.timeline import HOUR_S, dice, horizon, rhythm
from tap_sentry.demo.world import World

MAX_ROWS = 10_000
FIELDS = ("sum(quantity)", "sum(times_seen)")
# Category, outcome, reason and how many a project has in an average hour.
_REFUSALS = (
    ("error", "filtered", "web-crawlers", 3.0),
    ("error", "filtered", "browser-extensions", 2.0),
    ("error", "filtered", "localhost", 1.5),
    ("error", "filtered", "error-message", 2.0),
    ("error", "invalid", "invalid_json", 1.0),
    ("transaction", "filtered", "filtered-transaction", 9.0),
    ("span", "filtered", "filtered-transaction", 9.0),
    ("replay", "client_discard", "sample_rate", 4.0),
    ("session", "filtered", "web-crawlers", 3.0),
)
_COLUMNS = ("outcome", "category", "reason", "project")


class Use(NamedTuple):
    """What a quantity is of; `hour` is since the epoch, `project` its id."""

    hour: int
    project: int
    category: str
    outcome: str
    reason: str


def totals(world: World, start: float, end: float) -> Counter[Use]:
    """Quantities of all projects in the hours of [start, end), epoch seconds on whole hours."""
    hours = range(int(start // HOUR_S), int(end // HOUR_S))
    question = ("usage", hours, int(world.now))
    return world.remember(question, lambda: _counted(world, hours), about_spans=True)


def usage(call: Call) -> Answer:
    """Answer of `O/stats_v2/`; of more than MAX_ROWS figures the later ones are silently missing.

    https://docs.sentry.io/api/organizations/retrieve-event-counts-for-an-organization-v2/
    """
    request, columns, fields = call.request, call.request.all("groupBy"), call.request.all("field")
    for field in fields or [""]:
        if field not in FIELDS:
            raise bad_request(f'Invalid field: "{field}"')
    if not columns or not set(columns) <= set(_COLUMNS):
        raise bad_request(f"Invalid groupBy: {', '.join(columns)}")
    if "category" not in columns and not request.get("category"):
        raise bad_request("Query must have category as groupby or filter")
    starts = dates.hourly_buckets(request, dates.date_range(request, call.world.now))
    projects = {int(project.id) for project in call.projects()}
    figures: Counter[tuple[int, tuple[Any, ...]]] = Counter()
    for use, quantity in totals(call.world, starts.start, starts.stop).items():
        wanted = (
            request.get(column) in {None, "", getattr(use, column)} for column in _COLUMNS[:3]
        )
        if use.project in projects and all(wanted):
            group = tuple(getattr(use, column) for column in columns)
            figures[(use.hour * HOUR_S - starts.start) // starts.step, group] += quantity
    sums: Counter[tuple[Any, ...]] = Counter()
    for (_, group), quantity in figures.items():
        sums[group] += quantity
    series: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(starts))
    for bucket, group in sorted(figures)[:MAX_ROWS]:
        series[group][bucket] = figures[bucket, group]
    groups: list[dict[str, Any]] = [
        {"by": dict(zip(columns, group, strict=True)), "totals": dict.fromkeys(fields, quantity)}
        | ({} if "project" in columns else {"series": dict.fromkeys(fields, series[group])})
        for group, quantity in sorted(sums.items())
    ]
    body = {
        "start": dates.seconds(starts.start),
        "end": dates.seconds(starts.stop),
        "intervals": [dates.seconds(moment) for moment in starts],
        "groups": groups,
    }
    return Answer(body=body)


def _counted(world: World, hours: range) -> Counter[Use]:
    """What the world holds, and what was refused or thinned on the way to it."""
    found: Counter[Use] = Counter()
    start, end = hours.start * HOUR_S, hours.stop * HOUR_S

    def add(moment: float, project: str, category: str, quantity: int = 1) -> None:
        hour = int(moment // HOUR_S)
        if hour in hours:
            found[Use(hour, int(project), category, "accepted", "none")] += quantity

    for event in world.events_between(start, end):
        add(event.timestamp, event.issue.project.id, "error")
    for span in world.spans_between(start, end):
        transaction = span.transaction
        add(span.timestamp, transaction.project.id, "span_indexed")
        # What the server counted before its dynamic sampling; clients had thinned it already.
        add(span.timestamp, transaction.project.id, "span")
        if span.is_transaction:
            add(span.timestamp, transaction.project.id, "transaction")
            discarded = round(1 / transaction.trace.sample_rate) - 1
            if discarded:
                use = Use(
                    int(span.timestamp // HOUR_S), int(transaction.project.id), "transaction",
                    "client_discard", "sample_rate",
                )  # fmt: skip
                found[use] += discarded
    for replay in world.replays():
        add(replay.timestamp, replay.project_id, "replay")
    ids = {project.slug: project.id for project in world.projects()}
    for monitor in world.monitors():
        for run in world.check_ins(monitor):
            add(run.added, ids[monitor.project], "monitor", int(run.outcome != "missed"))
    for cell in sessions.cells(world, hours):
        add(cell.hour * HOUR_S, cell.project.id, "session", cell.total)
    return found + _refused(world, hours)


def _refused(world: World, hours: range) -> Counter[Use]:
    """What never became a row, some in every hour as far as it has passed."""
    found: Counter[Use] = Counter()
    now = world.now
    known = range(max(hours.start, horizon(now) // HOUR_S), min(hours.stop, int(now // HOUR_S) + 1))
    for project in world.projects():
        for hour in known if project in PROJECTS else ():
            random = dice(world.seed, f"refused/{project.id}", hour)
            elapsed = min(1.0, now / HOUR_S - hour)
            for category, outcome, reason, mean in _REFUSALS:
                quantity = round(elapsed * mean * rhythm(hour) * 2 * random.random())
                found[Use(hour, int(project.id), category, outcome, reason)] += quantity
            if random.random() < 0.02:
                limited = Use(hour, int(project.id), "error", "rate_limited", "key_quota")
                found[limited] += round(elapsed * 120)
    return found
