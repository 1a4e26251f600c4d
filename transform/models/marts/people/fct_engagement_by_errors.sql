-- Do people who met errors on a day engage less than those who met none, and do fewer of them come back?
{{ config(meta={"time_column": "activity_date"}) }}

with engagement as (
    select * from {{ ref("user_engagement") }}
),

users as (
    select * from {{ ref("int_user_activity") }}
),

clock as (
    select max(activity_date) as newest_product_date
    from engagement
    where event_count > 0
),

days as (
    select
        engagement.activity_date,
        coalesce(users.plan, 'unknown') as plan,
        engagement.is_seen_in_sentry,
        engagement.stored_error_count > 0 as has_errors,
        engagement.engagement_score,
        engagement.session_count,
        engagement.purchase_count,
        engagement.revenue,
        min(case when engagement.engagement_score > 0 then engagement.activity_date end) over (
            partition by engagement.user_id
            order by engagement.activity_date
            rows between 1 following and unbounded following
        ) as next_active_date
    from engagement
    left join users on engagement.user_id = users.user_id
),

-- Errors are only known of those whom Sentry saw.
sums as (
    select
        activity_date,
        case when grouping(plan) = 1 then '(all)' else plan end as plan,
    {%- for group, condition in (("with_errors", "has_errors"), ("without_errors", "not has_errors")) %}
        count(*) filter (where {{ condition }}) as {{ group }}_user_count,
        cast(coalesce(sum(engagement_score) filter (where {{ condition }}), 0) as bigint)
            as {{ group }}_engagement_score,
        cast(
            coalesce(sum(engagement_score * engagement_score) filter (where {{ condition }}), 0) as bigint
        ) as {{ group }}_square_sum,
        cast(coalesce(sum(session_count) filter (where {{ condition }}), 0) as bigint) as {{ group }}_session_count,
        cast(coalesce(sum(purchase_count) filter (where {{ condition }}), 0) as bigint) as {{ group }}_purchase_count,
        count(*) filter (where {{ condition }} and purchase_count > 0) as {{ group }}_purchasing_user_count,
        coalesce(sum(revenue) filter (where {{ condition }}), 0) as {{ group }}_revenue,
        count(*) filter (where {{ condition }} and next_active_date <= activity_date + 7)
            as {{ group }}_returned_user_count
        {{- "," if not loop.last }}
    {%- endfor %}
    from days
    where is_seen_in_sentry
    group by grouping sets ((activity_date, plan), (activity_date))
),

-- Sums of whole numbers, so that the variance is the same to the digit whatever the order of rows.
moments as (
    select
        *,
        {{ ratio(
            "cast(with_errors_user_count * with_errors_square_sum"
            ~ " - with_errors_engagement_score * with_errors_engagement_score as double precision)",
            "with_errors_user_count * (with_errors_user_count - 1)",
        ) }} as with_errors_variance,
        {{ ratio(
            "cast(without_errors_user_count * without_errors_square_sum"
            ~ " - without_errors_engagement_score * without_errors_engagement_score as double precision)",
            "without_errors_user_count * (without_errors_user_count - 1)",
        ) }} as without_errors_variance
    from sums
),

final as (
    select
        moments.activity_date,
        moments.plan,
        {%- for group in ("with_errors", "without_errors") %}
            moments.{{ group }}_user_count,
            moments.{{ group }}_engagement_score,
            {{ ratio("moments." ~ group ~ "_engagement_score", "moments." ~ group ~ "_user_count") }}
                as {{ group }}_mean_engagement_score,
            moments.{{ group }}_session_count,
            moments.{{ group }}_purchase_count,
            {{ ratio("moments." ~ group ~ "_purchase_count", "moments." ~ group ~ "_session_count") }}
                as {{ group }}_conversion_rate,
            moments.{{ group }}_purchasing_user_count,
            {{ rounded("moments." ~ group ~ "_revenue", digits=4) }} as {{ group }}_revenue,
            {{ rounded(ratio("moments." ~ group ~ "_revenue", "moments." ~ group ~ "_user_count")) }}
                as {{ group }}_revenue_per_user,
            moments.{{ group }}_returned_user_count,
            case
                when moments.activity_date + 7 < clock.newest_product_date
                    then {{ ratio("moments." ~ group ~ "_returned_user_count", "moments." ~ group ~ "_user_count") }}
            end as {{ group }}_return_rate,
        {%- endfor %}
        {{ ratio("moments.with_errors_engagement_score", "moments.with_errors_user_count") }}
        - {{ ratio("moments.without_errors_engagement_score", "moments.without_errors_user_count") }}
            as mean_engagement_score_difference,
        sqrt(
            {{ ratio("moments.with_errors_variance", "moments.with_errors_user_count") }}
            + {{ ratio("moments.without_errors_variance", "moments.without_errors_user_count") }}
        ) as mean_engagement_score_difference_standard_error,
        {{ is_low_sample("least(moments.with_errors_user_count, moments.without_errors_user_count)") }}
            as is_low_sample,
        coalesce(moments.activity_date + 7 < clock.newest_product_date, false) as is_complete
    from moments
    cross join clock
)

select * from final
