"""From the panels' data to the JSON that Grafana reads."""

# Grafana's package is typed for Python 3.11, and mypy is told of 3.10, where it knows less.
# mypy: disable-error-code="arg-type,no-any-return"

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from orchestrate.monitoring import PREFIX
from orchestrate.monitoring.grafana.model import (
    ENVIRONMENT,
    HERE,
    TAG,
    Dashboard,
    Row,
    Source,
    Variable,
)
from orchestrate.monitoring.grafana.panels import panel_of, source_of

REFRESH = "1m"
# Of the page.
WIDTH = 24


def text(dashboard: Dashboard) -> str:
    """The dashboard as its file has it."""
    built = _dashboard(dashboard)
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboard(dashboard: Dashboard) -> models.Dashboard:
    page = (
        builders.Dashboard(dashboard.title)
        .uid(f"{TAG}-{dashboard.name}")
        .description(dashboard.description)
        .tags([TAG])
        .time(dashboard.period, "now")
        .timezone("browser")
        .refresh(REFRESH)
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Dashboards")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in dashboard.variables:
        page.with_variable(_variable(variable))
    for annotation in _annotations():
        page.annotation(annotation)
    built = page.build()
    built.panels = list(_panels(dashboard.rows))
    return built


def _variable(variable: Variable) -> builders.QueryVariable:
    chosen = variable is not ENVIRONMENT and variable.metric.startswith(PREFIX)
    own = f"{{{HERE}}}" if chosen else ""
    query = f"label_values({variable.metric}{own}, {variable.name})"
    built = (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .query(query)
        .datasource(source_of(Source.PROMETHEUS))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if variable.many:
        # Grafana's own value of "All".
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        built.multi(True).include_all(True).current(everything)
    return built


def _annotations() -> Iterator[builders.AnnotationQuery]:
    """Marks on every time series: runs that went wrong, alerts that fire."""
    for name, color, expression in (
        (
            "Failed runs",
            "red",
            f'max by (pipeline) (tap_sentry_last_run_result{{{HERE}, result="success"}}) == 0',
        ),
        (
            "Critical alerts",
            "orange",
            'max by (alertname) (ALERTS{alertname=~"TapSentry.*", alertstate="firing", '
            'severity="critical", environment=~"$environment|"})',
        ),
    ):
        yield (
            builders.AnnotationQuery()
            .name(name)
            .datasource(source_of(Source.PROMETHEUS))
            .enable(True)
            .icon_color(color)
            .expr(expression)
        )


def _panels(rows: Iterable[Row]) -> Iterator[models.Panel | models.RowPanel]:
    """Rows and panels in their places; of an optional row they are inside it."""
    number, top = 1, 0
    for row in rows:
        heading = models.RowPanel(
            title=row.title,
            collapsed=row.optional,
            id_val=number,
            grid_pos=models.GridPos(x=0, y=top, w=WIDTH, h=1),
        )
        number, top = number + 1, top + 1
        panels: list[models.Panel] = []
        # How far down each column of the grid is taken.
        taken = [top] * WIDTH
        for panel in row.panels:
            # The highest free place, then the one furthest to the left.
            highest, left = min(
                (max(taken[left : left + panel.width]), left)
                for left in range(WIDTH - panel.width + 1)
            )
            built = panel_of(panel)
            built.id_val = number
            built.grid_pos = models.GridPos(x=left, y=highest, w=panel.width, h=panel.height)
            number += 1
            taken[left : left + panel.width] = [highest + panel.height] * panel.width
            panels.append(built)
        yield heading
        if row.optional:
            heading.panels = panels
        else:
            yield from panels
            top = max(taken)
