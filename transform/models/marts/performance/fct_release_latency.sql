-- Did a release make a transaction slower?
{{ config(meta={"time_column": "last_seen_at"}) }}

with moments as (
    select *
    from {{ ref("int_release_moments") }}
    where release_version <> '(none)'
),

releases as (
    select
        service,
        environment,
        release_version,
        min(first_started_at) as release_first_seen_at
    from moments
    group by service, environment, release_version
),

buckets as (
    select
        service,
        transaction_name,
        environment,
        release_version,
        bucket,
        sum(weight) as weight
    from moments
    group by service, transaction_name, environment, release_version, bucket
),

ranked as (
    select
        *,
        sum(weight) over (
            partition by service, transaction_name, environment, release_version
            order by bucket
            rows between unbounded preceding and current row
        ) / sum(weight) over (
            partition by service, transaction_name, environment, release_version
        ) + 0.000000001 as cumulative_share
    from buckets
),

percentiles as (
    select
        service,
        transaction_name,
        environment,
        release_version,
        min(bucket) filter (where cumulative_share >= 0.50) as p50_bucket,
        min(bucket) filter (where cumulative_share >= 0.95) as p95_bucket
    from ranked
    group by service, transaction_name, environment, release_version
),

totals as (
    select
        service,
        transaction_name,
        environment,
        release_version,
        cast(sum(stored_transaction_count) as bigint) as stored_transaction_count,
        {{ rounded("sum(weight)") }} as estimated_transaction_count,
        sum(weight) * sum(weight) / sum(squared_weight) as effective_count,
        sum(weighted_log) / sum(weight) as mean_log,
        sum(weighted_squared_log) / sum(weight) as mean_squared_log,
        min(first_started_at) as first_seen_at,
        max(last_started_at) as last_seen_at
    from moments
    group by service, transaction_name, environment, release_version
),

spread as (
    select
        totals.*,
        releases.release_first_seen_at,
        -- The unbiased variance of a weighted sample, by its effective count.
        greatest(totals.mean_squared_log - totals.mean_log * totals.mean_log, 0)
        * {{ ratio("totals.effective_count", "greatest(totals.effective_count - 1, 0)") }} as log_variance
    from totals
    inner join releases
        on
            totals.service = releases.service
            and totals.environment = releases.environment
            and totals.release_version = releases.release_version
),

paired as (
    select
        *,
        lag(release_version) over transaction_releases as previous_release_version,
        lag(stored_transaction_count) over transaction_releases as previous_stored_transaction_count,
        lag(effective_count) over transaction_releases as previous_effective_count,
        lag(mean_log) over transaction_releases as previous_mean_log,
        lag(log_variance) over transaction_releases as previous_log_variance
    from spread
    window transaction_releases as (
        partition by service, transaction_name, environment
        order by release_first_seen_at, release_version
    )
),

compared as (
    select
        *,
        exp(mean_log - previous_mean_log) as duration_ratio,
        (mean_log - previous_mean_log) / nullif(
            sqrt(
                ((effective_count - 1) * log_variance + (previous_effective_count - 1) * previous_log_variance)
                / nullif(greatest(effective_count + previous_effective_count - 2, 0), 0)
            ),
            0
        ) as effect_size,
        (mean_log - previous_mean_log) / nullif(
            sqrt(log_variance / effective_count + previous_log_variance / previous_effective_count),
            0
        ) as welch_t
    from paired
),

final as (
    select
        compared.service,
        compared.transaction_name,
        compared.environment,
        compared.release_version,
        compared.first_seen_at,
        compared.last_seen_at,
        compared.stored_transaction_count,
        compared.estimated_transaction_count,
        {{ rounded("compared.effective_count") }} as effective_transaction_count,
        {{ rounded("compared.mean_log") }} as mean_log_duration,
        {{ rounded("sqrt(compared.log_variance)") }} as standard_deviation_log_duration,
        {{ rounded("exp(compared.mean_log)") }} as geometric_mean_seconds,
        {{ rounded(bucket_duration("percentiles.p50_bucket")) }} as p50_duration_seconds,
        {{ rounded(bucket_duration("percentiles.p95_bucket")) }} as p95_duration_seconds,
        compared.previous_release_version,
        compared.previous_stored_transaction_count,
        {{ rounded("compared.previous_effective_count") }} as previous_effective_transaction_count,
        {{ rounded("exp(compared.previous_mean_log)") }} as previous_geometric_mean_seconds,
        {{ rounded("compared.duration_ratio") }} as duration_ratio,
        {{ rounded("compared.effect_size") }} as effect_size,
        {{ rounded("compared.welch_t") }} as welch_t,
        case
            when compared.previous_release_version is null then 'first release'
            when
                {{ is_low_sample("compared.effective_count") }}
                or {{ is_low_sample("compared.previous_effective_count") }}
                then 'too few'
            when
                abs(compared.welch_t) >= {{ var("latency_min_t") }}
                and abs(compared.effect_size) >= {{ var("latency_min_effect_size") }}
                then case when compared.welch_t > 0 then 'slower' else 'faster' end
            else 'no difference'
        end as verdict,
        {{ is_low_sample("compared.effective_count") }} as is_low_sample
    from compared
    inner join percentiles
        on
            compared.service = percentiles.service
            and compared.transaction_name = percentiles.transaction_name
            and compared.environment = percentiles.environment
            and compared.release_version = percentiles.release_version
)

select * from final
