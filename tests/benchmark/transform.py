"""dbt on twenty million spans and two million events: all of it, then one new day."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests import plugins
from tests.benchmark import figures
from tests.benchmark.figures import Figure, at_most
from tests.project import ROOT

SPANS, EVENTS, DAYS = 20_000_000, 2_000_000, 30
NEW_DAY_SHARE_OF_FULL = 0.05

# One trace: a page that calls two services, one of which asks its database five times.
# number, parent, project, segment, operation, whether a segment's root, begin and length in ms
TRACE = """
    (0, null, 1, 0, 'pageload', true, 0, 900),
    (1, 0, 1, 0, 'http.client', false, 50, 400),
    (2, 1, 2, 2, 'http.server', true, 60, 380),
    (3, 2, 2, 2, 'db', false, 70, 40),
    (4, 2, 2, 2, 'db', false, 120, 40),
    (5, 2, 2, 2, 'db', false, 170, 40),
    (6, 2, 2, 2, 'db', false, 220, 40),
    (7, 2, 2, 2, 'db', false, 270, 40),
    (8, 0, 1, 0, 'http.client', false, 460, 300),
    (9, 8, 3, 9, 'http.server', true, 480, 250)
"""
SPANS_OF_A_TRACE = TRACE.count("(")

TABLES = """
create schema sentry;
create table sentry.projects (id varchar primary key, slug varchar);
insert into sentry.projects values ('1', 'web'), ('2', 'catalog'), ('3', 'checkout');
create table sentry.issues (
    id varchar primary key, project json, status varchar, level varchar, count varchar,
    firstseen timestamp, lastseen timestamp, _sdc_batched_at timestamp
);
insert into sentry.issues
select i, json_object('id', cast(i % 3 + 1 as varchar)), 'unresolved', 'error', '1000',
    timestamp '2026-09-01', timestamp '2026-10-01', timestamp '2026-10-01'
from range(2000) as issues (i);
create table sentry.spans (
    "project.id" bigint, trace varchar, id varchar, parent_span varchar,
    "transaction.span_id" varchar, is_transaction boolean, "timestamp" timestamp,
    "precise.start_ts" double, received double, "span.duration" double, "span.self_time" double,
    "span.op" varchar, "span.description" varchar, "span.status" varchar, "transaction" varchar,
    release varchar, environment varchar, "user.id" varchar, sampling_rate double,
    sample_weight double, _sdc_extracted_at timestamp, _sdc_batched_at timestamp,
    _sdc_deleted_at varchar
);
create table sentry.events (
    eventid varchar, projectid varchar, groupid varchar, title varchar, "user" json, tags json,
    datecreated timestamp, sample_weight double, _sdc_extracted_at timestamp,
    _sdc_batched_at timestamp, _sdc_deleted_at varchar
);
"""
# As the loader makes them; added to full tables, since an index that grows row by row is slow.
KEYS = """
alter table sentry.spans add primary key ("project.id", trace, id);
alter table sentry.events add primary key (projectid, eventid);
"""

DAY_OF_SPANS = f"""
insert into sentry.spans
with traces as (
    select
        t,
        lower(to_hex(hash(t, {{day}}))) || lower(to_hex(hash(t, {{day}}, 1))) as trace,
        epoch(date '2026-10-01' + {{day}}) + t * 86400.0 / {{traces}} as started,
        0.5 + hash(t, 2) % 1000 / 500 as slowness
    from range({{traces}}) as numbers (t)
)
select
    span.project, trace, lower(to_hex(hash(t, span.number))),
    case when span.parent is not null then lower(to_hex(hash(t, span.parent))) end,
    lower(to_hex(hash(t, span.segment))), span.is_segment,
    make_timestamp(cast(floor(started + span.begins / 1000) * 1000000 as bigint)),
    started + span.begins / 1000 * slowness, started + 5, span.lasts * slowness,
    span.lasts * slowness / 2, span.operation,
    case when span.operation = 'db' then 'SELECT * FROM products WHERE id = %s' end,
    case when hash(t, span.number, 3) % 50 = 0 then 'internal_error' else 'ok' end,
    'page ' || span.segment, 'web@' || {{day}} // 7, 'production', cast(t % 5000 as varchar),
    case when t % 2 = 0 then 0.5 else 1 end, 1,
    timestamp '2026-10-02' + interval '1 day' * {{day}},
    timestamp '2026-10-02' + interval '1 day' * {{day}}, null
from traces
cross join (values {TRACE}) as span (
    number, parent, project, segment, operation, is_segment, begins, lasts
)
"""  # noqa: S608

DAY_OF_EVENTS = """
insert into sentry.events
select
    lower(to_hex(hash(e, {day}))) || lower(to_hex(hash(e, {day}, 1))), cast(e % 3 + 1 as varchar),
    cast(hash(e, 2) % 2000 as varchar), 'It failed', json_object('id', cast(e % 5000 as varchar)),
    json_array(
        json_object('key', 'level', 'value', 'error'),
        json_object('key', 'environment', 'value', 'production'),
        json_object('key', 'release', 'value', 'web@' || {day} // 7),
        json_object('key', 'transaction', 'value', 'page ' || e % 10)
    ),
    date '2026-10-01' + {day} + interval '1 millisecond' * (e * 86400000 // {events}), 1,
    timestamp '2026-10-02' + interval '1 day' * {day},
    timestamp '2026-10-02' + interval '1 day' * {day}, null
from range({events}) as numbers (e)
"""


@dataclass(frozen=True)
class Build:
    """How long one `dbt build` took, and the most memory that it held."""

    seconds: float
    peak_mb: float


def load(warehouse: Path, days: range, spans: int, events: int) -> None:
    """Add days of so many spans and events each."""
    with duckdb.connect(str(warehouse)) as connection:
        if days.start == 0:
            connection.execute(TABLES)
        for day in days:
            traces = spans // SPANS_OF_A_TRACE
            connection.execute(DAY_OF_SPANS.format(day=day, traces=traces))
            connection.execute(DAY_OF_EVENTS.format(day=day, events=events))
        if days.start == 0:
            connection.execute(KEYS)


def build(dbt: Path, warehouse: Path) -> Build:
    """Everything that `meltano run` builds and tests."""
    beside = warehouse.parent
    environment = {
        **os.environ,
        "DBT_WAREHOUSE_PATH": str(warehouse),
        "DBT_PROJECT_DIR": str(ROOT / "transform"),
        "DBT_PROFILES_DIR": str(ROOT / "transform"),
        "DBT_TARGET_PATH": str(beside / "target"),
        "DBT_LOG_PATH": str(beside / "logs"),
    }
    started = time.perf_counter()
    with (beside / "printed.txt").open("w") as printed:
        process = subprocess.Popen(
            [dbt, "build", "--exclude-resource-type", "unit_test"],
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((beside / "printed.txt").read_text()[-4000:])
    return Build(time.perf_counter() - started, usage.ru_maxrss / 1024)


def measure(quick: bool) -> Iterator[Figure]:
    """Seconds and memory of both builds, and what of the second grows with history."""
    spans, events = (SPANS // 20, EVENTS // 20) if quick else (SPANS, EVENTS)
    with tempfile.TemporaryDirectory() as folder:
        dbt = plugins.install("transformer", Path(folder)) / "dbt"
        small, large = Path(folder) / "small/warehouse.duckdb", Path(folder) / "warehouse.duckdb"
        small.parent.mkdir()
        load(small, range(2), 1_000, 100)
        build(dbt, small)
        start = build(dbt, small)
        load(large, range(DAYS), spans // DAYS, events // DAYS)
        full = build(dbt, large)
        load(large, range(DAYS, DAYS + 1), spans // DAYS, events // DAYS)
        one_day = build(dbt, large)
        nothing_new = build(dbt, large)
    size = f"{spans // 1_000_000} M spans, {events / 1e6:g} M events"
    yield Figure("dbt build, a small warehouse again", f"{start.seconds:.1f} s")
    yield Figure(f"dbt build, full, {size}", f"{full.seconds:.1f} s, {full.peak_mb:,.0f} MB")
    yield Figure("one new day", f"{one_day.seconds:.1f} s, {one_day.peak_mb:,.0f} MB")
    yield Figure("nothing new", f"{nothing_new.seconds:.1f} s")
    share = (one_day.seconds - start.seconds) / full.seconds
    yield at_most("(one new day - small again) / full", share, NEW_DAY_SHARE_OF_FULL)


if __name__ == "__main__":
    figures.main(measure, __doc__)
