"""The ledger's schema, and how an older one becomes it: what was released is never edited."""

from __future__ import annotations

# The number of scripts that a file has been through is its `pragma user_version`.
MIGRATIONS: tuple[str, ...] = (
    """
    create table pipeline_run (
        run_id text not null,
        trace_id text not null,
        span_id text not null,
        started_us integer not null,
        heard_us integer not null,
        environment text,
        job text not null,
        planned_steps text not null,
        arguments text not null,
        trigger text,
        host text,
        pid integer,
        branch text,
        revision text,
        parent_span_id text,
        ended_us integer,
        result text,
        error text,
        primary key (run_id)
    ) strict;
    create table step (
        run_id text not null,
        position integer not null,
        name text not null,
        kind text not null,
        started_us integer not null,
        state_id text,
        ended_us integer,
        result text,
        error text,
        primary key (run_id, position)
    ) strict;
    create table stream_sync (
        run_id text not null,
        position integer not null,
        stream text not null,
        started_us integer,
        ended_us integer,
        rows integer not null,
        stored_rows integer not null,
        requests integer,
        planned_rows integer,
        planned_requests integer,
        bookmark_us integer,
        result text,
        primary key (run_id, position, stream)
    ) strict;
    create table request_total (
        run_id text not null,
        position integer not null,
        endpoint text not null,
        requests integer not null,
        retries integer not null,
        waited_s real not null,
        primary key (run_id, position, endpoint)
    ) strict;
    create table retry (
        run_id text not null,
        position integer not null,
        number integer not null,
        at_us integer not null,
        endpoint text not null,
        reason text not null,
        wait_s real not null,
        primary key (run_id, position, number)
    ) strict;
    create table skipped_part (
        run_id text not null,
        position integer not null,
        stream text not null,
        part text not null,
        reason text not null,
        primary key (run_id, position, stream, part)
    ) strict;
    create table log_event (
        run_id text not null,
        number integer not null,
        at_us integer not null,
        level text not null,
        source text not null,
        text text not null,
        primary key (run_id, number)
    ) strict, without rowid;
    create table dbt_invocation (
        invocation_id text not null,
        run_id text not null,
        started_us integer not null,
        heard_us integer not null,
        command text not null,
        arguments text not null,
        environment text,
        target text,
        threads integer,
        dbt_version text,
        ended_us integer,
        exit_code integer,
        result text,
        error text,
        manifest_hash text,
        retries text,
        primary key (invocation_id)
    ) strict;
    create table node_run (
        invocation_id text not null,
        unique_id text not null,
        resource_type text not null,
        name text not null,
        relation text,
        materialized text,
        status text,
        thread text,
        started_us integer,
        ended_us integer,
        compile_started_us integer,
        compile_ended_us integer,
        execute_started_us integer,
        execute_ended_us integer,
        message text,
        failures integer,
        rows_affected integer,
        code_hash text,
        statements integer not null,
        statement_s real not null,
        primary key (invocation_id, unique_id)
    ) strict, without rowid;
    create table freshness_result (
        invocation_id text not null,
        unique_id text not null,
        status text not null,
        max_loaded_at_us integer,
        snapshotted_at_us integer,
        age_s real,
        warn_after_s real,
        error_after_s real,
        error text,
        primary key (invocation_id, unique_id)
    ) strict;
    create table manifest (
        manifest_hash text not null,
        project text not null,
        adapter text,
        dbt_version text,
        generated_us integer,
        primary key (manifest_hash)
    ) strict;
    create table manifest_node (
        manifest_hash text not null,
        unique_id text not null,
        resource_type text not null,
        name text not null,
        package text not null,
        schema text,
        identifier text,
        path text,
        owner text,
        tags text not null,
        depends_on text not null,
        config text not null,
        primary key (manifest_hash, unique_id)
    ) strict, without rowid;
    create table delivery (
        run_id text not null,
        kind text not null,
        delivered_us integer not null,
        items integer not null,
        primary key (run_id, kind)
    ) strict;
    create table sent_span (
        run_id text not null,
        span_id text not null,
        primary key (run_id, span_id)
    ) strict;
    create table source_file (
        fingerprint text not null,
        path text not null,
        offset integer not null,
        primary key (fingerprint)
    ) strict;
    create index pipeline_run_started on pipeline_run (started_us);
    create index pipeline_run_open on pipeline_run (run_id) where ended_us is null;
    create index pipeline_run_job on pipeline_run (environment, job, started_us);
    create index dbt_invocation_run on dbt_invocation (run_id);
    create index dbt_invocation_open on dbt_invocation (environment) where result is null;
    create index dbt_invocation_started on dbt_invocation (environment, started_us);
    create index node_run_node on node_run (unique_id, started_us);

    create view test_result as
    select
        node_run.invocation_id,
        dbt_invocation.run_id,
        node_run.unique_id,
        node_run.name,
        node_run.status,
        node_run.failures,
        node_run.message,
        node_run.started_us,
        node_run.ended_us
    from node_run
    inner join dbt_invocation using (invocation_id)
    where node_run.resource_type in ('test', 'unit_test');
    """,
    """
    alter table dbt_invocation add column parsed_us integer;
    create index stream_sync_stream on stream_sync (stream collate nocase, ended_us);
    """,
    """
    alter table request_total add column answering_s real not null default 0;
    alter table request_total add column quota_requests integer;
    alter table request_total add column quota_window_s real;
    alter table request_total add column quota_used real;
    create table forgotten_total (
        metric text not null,
        labels text not null,
        value real not null,
        primary key (metric, labels)
    ) strict;
    """,
    """
    create table reuse_decision (
        invocation_id text not null,
        unique_id text not null,
        mode text not null,
        decision text not null,
        reason text not null,
        detail text not null,
        definition_hash text,
        content_before text,
        content_after text,
        outcome text,
        primary key (invocation_id, unique_id)
    ) strict, without rowid;
    """,
)
