-- The shares of a trace's services add up to 1, and their time with the waiting never exceeds the trace's.
-- Traces of the newest days alone: older ones were looked at when they were new.
with trace_shares as (
    select
        trace_id,
        sum(critical_path_share) as summed_share,
        sum(critical_path_seconds + waiting_seconds) as summed_seconds
    from {{ ref("fct_trace_services") }}
    where activity_date >= (select max(newest.activity_date) - 3 from {{ ref("fct_trace_services") }} as newest)
    group by trace_id
)

select
    trace_shares.trace_id,
    trace_shares.summed_share,
    trace_shares.summed_seconds,
    traces.end_to_end_seconds
from trace_shares
inner join {{ ref("fct_traces") }} as traces on trace_shares.trace_id = traces.trace_id
where abs(trace_shares.summed_share - 1) > 0.000001 or trace_shares.summed_seconds > traces.end_to_end_seconds + 0.00001
