"""Queries that several dashboards ask alike."""

from __future__ import annotations

from orchestrate.monitoring.grafana.model import HERE, Query, Source

# Of the services chosen: in PromQL, in SQL.
OF_SERVICE = f'{HERE}, service=~"$service"'
OF_SERVICES = "service in (${service:singlequote})"


def sql(text: str, legend: str = "") -> tuple[Query]:
    return (Query(text, legend, Source.WAREHOUSE),)


def days(mart: str, columns: str, by: str = "", where: str = "true") -> str:
    """Values of each day of the page's period; `by` is a label, or none."""
    label = f"{by}, " if by else ""
    return f"""
select * from (
    select cast(activity_date as timestamp) as time, {label}{columns}
    from marts.{mart}
    where {where}
    group by {label}activity_date
)
where $__timeFilter(time)
order by time
""".strip()
