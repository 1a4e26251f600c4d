"""What the ledger tells of streams and of the requests to Sentry."""

from __future__ import annotations

from orchestrate.monitoring.model import Kind, Metric, Query
from orchestrate.monitoring.runs import RUN

_STREAM = ("environment", "stream")
_ENDPOINT = ("environment", "endpoint")
_SYNC = f"""
{RUN},
sync as (
    select
        environment,
        stream_sync.*,
        coalesce(stream_sync.ended_us, run.heard_us) as at_us,
        run.ended_us is not null as is_over
    from run inner join stream_sync using (run_id)
)"""
# While a run is under way, its figures are those of a part. A stream that no pipeline's last good
# run had was deselected since: it can't be late.
_LAST = f"""
{_SYNC},
good as (
    select environment, pipeline, run_id, position, run.ended_us
    from run inner join step using (run_id)
    where step.kind = 'extract_load' and step.result = 'success'
),
newest_good as (select *, max(ended_us) from good group by environment, pipeline),
selected as (
    select distinct environment, stream from newest_good inner join stream_sync using (run_id)
),
last as (
    select
        *,
        -- Read to its end, and all of it stored.
        result = 'success' and (run_id, position) in (select run_id, position from good) as is_good
    from sync
    where
        is_over
        and (
            (environment, stream) in (select environment, stream from selected)
            or environment not in (select environment from selected)
        )
)"""
# The tap's own limit only holds back: nothing is asked of it.
_TOTAL = f"""
{RUN},
total as (
    select *, case when endpoint <> 'rate_limit' then 1 end as asked
    from run inner join request_total using (run_id)
)"""

QUERIES = (
    Query(
        Kind.COUNTER,
        _STREAM,
        (
            Metric("stream_rows_total", "Rows that the tap wrote."),
            Metric("stream_stored_rows_total", "Rows that the target stored."),
        ),
        f"with {_SYNC} select run_id, at_us, environment, stream, rows, stored_rows from sync",
    ),
    Query(
        Kind.GAUGE,
        _STREAM,
        (
            Metric("stream_last_rows", "Rows that the tap wrote in the last run."),
            Metric("stream_last_stored_rows", "Rows that the target stored in the last run."),
            Metric("stream_last_requests", "Requests of the last run."),
            Metric("stream_last_planned_rows", "Rows that the last run had planned."),
            Metric("stream_last_planned_requests", "Requests that the last run had planned."),
            Metric("stream_last_duration_seconds", "Time in which the last run wrote the rows."),
        ),
        f"""
        with {_LAST}
        select
            run_id, at_us, environment, stream, rows, stored_rows, requests, planned_rows,
            planned_requests, (ended_us - started_us) / 1e6
        from last
        """,
    ),
    Query(
        Kind.GAUGE,
        _STREAM,
        (
            Metric(
                "stream_last_success_timestamp_seconds",
                "When the stream was last read to its end and stored.",
            ),
        ),
        f"""
        with {_LAST}
        select run_id, at_us, environment, stream, at_us / 1e6 from last where is_good
        """,
    ),
    Query(
        Kind.GAUGE,
        _STREAM,
        (
            Metric(
                "stream_bookmark_timestamp_seconds",
                "Up to when the stream is complete: the earliest bookmark of its parts.",
            ),
        ),
        f"""
        with {_LAST}
        select run_id, at_us, environment, stream, bookmark_us / 1e6
        from last
        where bookmark_us is not null and is_good
        """,
    ),
    Query(
        Kind.GAUGE,
        _STREAM,
        (
            Metric(
                "stream_last_skipped_parts",
                "Parts of the stream that Sentry would not give in the last run.",
            ),
        ),
        f"""
        with {RUN}, asked as (
            select run_id, stream from run inner join stream_sync using (run_id)
            union
            select run_id, stream from run inner join skipped_part using (run_id)
        )
        select
            run_id, heard_us, environment, asked.stream,
            (
                select count(*) from skipped_part as skipped
                where skipped.run_id = run.run_id and skipped.stream = asked.stream
            )
        from run inner join asked using (run_id)
        where run.ended_us is not null
        """,
    ),
    Query(
        Kind.COUNTER,
        _ENDPOINT,
        (
            Metric("api_requests_total", "Requests to Sentry, retries among them."),
            Metric("api_retries_total", "Requests that were asked again."),
            Metric("api_wait_seconds_total", "Time in which a limit held requests back."),
            Metric(
                "api_answering_seconds_total", "Time from requests to their answers, all added up."
            ),
        ),
        f"""
        with {_TOTAL}
        select
            run_id, heard_us, environment, endpoint, asked * requests, asked * retries, waited_s,
            asked * answering_s
        from total
        """,
    ),
    Query(
        Kind.GAUGE,
        _ENDPOINT,
        (
            Metric("api_quota_requests", "Requests that Sentry allows in one window."),
            Metric("api_quota_window_seconds", "Length of such a window."),
            Metric(
                "api_quota_used_ratio",
                "Largest share of a window used up in the last run, by whoever has the token.",
            ),
        ),
        f"""
        with {_TOTAL}
        select
            run_id, heard_us, environment, endpoint, quota_requests, quota_window_s, quota_used
        from total
        where quota_requests is not null
        """,
    ),
)
