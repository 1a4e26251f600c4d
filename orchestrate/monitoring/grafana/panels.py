"""From a panel's data to Grafana's panel."""

# Grafana's package is typed for Python 3.11, and mypy is told of 3.10, where it knows less.
# mypy: disable-error-code="arg-type,no-any-return"

from __future__ import annotations

import re
import string
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus

from orchestrate.monitoring.grafana.model import (
    NEUTRAL,
    TAG,
    Column,
    Kind,
    Panel,
    Query,
    Source,
    State,
    Step,
)

PLUGINS = {
    Source.PROMETHEUS: "prometheus",
    Source.WAREHOUSE: "motherduck-duckdb-datasource",
}
# The plugin's own numbers for how SQL is answered (QueryFormat in Grafana's plugin-ui).
_SERIES, _TABLE = 0, 1


def source_of(source: Source) -> models.DataSourceRef:
    return models.DataSourceRef(type_val=PLUGINS[source], uid=source.value)


def panel_of(panel: Panel) -> models.Panel:
    (source,) = {query.source for query in panel.queries}
    built = _of_kind(panel)
    built.title(panel.title).description(panel.description).unit(panel.unit)
    built.datasource(source_of(source))
    if panel.kind is not Kind.TABLE:
        built.thresholds(_thresholds(panel.steps, panel.below if panel.steps else NEUTRAL))
        built.mappings(_mappings(panel.states))
        for limit, given in ((built.min, panel.lowest), (built.max, panel.highest)):
            if given is not None:
                limit(given)
    if source is Source.WAREHOUSE and panel.queries[0].legend:
        built.display_name(re.sub(r"{{(\w+)}}", r"${__field.labels.\1}", panel.queries[0].legend))
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    if panel.least_step:
        built.interval(panel.least_step)
    if panel.when_empty:
        built.no_value(panel.when_empty)
    if panel.more:
        kept = "${__url_time_range}&${environment:queryparam}"
        link = builders.DashboardLink("More").url(f"/d/{TAG}-{panel.more}?{kept}")
        built.links([link])
    made = built.build()
    made.targets = [
        _target(panel.kind, letter, query)
        for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False)
    ]
    return made


def _of_kind(panel: Panel) -> Any:
    """The builder of a panel, with what only its kind has."""
    if panel.kind is Kind.STAT:
        return (
            stat.Panel()
            .color_scheme(_coloured(models.FieldColorModeId.THRESHOLDS))
            .color_mode(
                options.BigValueColorMode.BACKGROUND
                if panel.steps or panel.states
                else options.BigValueColorMode.VALUE
            )
            .graph_mode(options.BigValueGraphMode.NONE)
            .reduce_options(_newest())
        )
    if panel.kind is Kind.BARS:
        return (
            bargauge.Panel()
            .color_scheme(_coloured(models.FieldColorModeId.THRESHOLDS))
            .orientation(options.VizOrientation.HORIZONTAL)
            .display_mode(options.BarGaugeDisplayMode.BASIC)
            .reduce_options(_newest())
        )
    if panel.kind is Kind.STATES:
        return (
            statetimeline.Panel()
            .color_scheme(_coloured(models.FieldColorModeId.THRESHOLDS))
            .show_value(options.VisibilityMode.NEVER)
            .fill_opacity(80)
            .line_width(0)
            .legend(_legend())
        )
    if panel.kind is Kind.TABLE:
        return _table(panel)
    return _timeseries(panel)


def _timeseries(panel: Panel) -> timeseries.Panel:
    built = (
        timeseries.Panel()
        .color_scheme(_coloured(models.FieldColorModeId.PALETTE_CLASSIC))
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
        .draw_style(options.GraphDrawStyle.BARS if panel.bars else options.GraphDrawStyle.LINE)
        .fill_opacity(60 if panel.bars else 20 if panel.stacked else 5)
        .show_points(options.VisibilityMode.AUTO)
        # A day without a row is a gap in SQL's answer; a metric that is missing shall show.
        .span_nulls(panel.queries[0].source is Source.WAREHOUSE)
    )
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if panel.steps:
        style = common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.DASHED)
        built.thresholds_style(style)
    return built


def _table(panel: Panel) -> table.Panel:
    """Its columns in the order given, by the names given, each with its own unit and colours."""
    promql = panel.queries[0].source is Source.PROMETHEUS
    names = {}
    for column in panel.columns:
        is_value = promql and column.source in string.ascii_uppercase
        alone = len(panel.queries) == 1
        source = column.source if not is_value else "Value" if alone else f"Value #{column.source}"
        names[source] = column.title
    organize = {
        "renameByName": names,
        "indexByName": {name: place for place, name in enumerate(names)},
        "excludeByName": {"Time": True} if promql else {},
    }
    by = panel.sort or panel.columns[0].title
    built = (
        table.Panel()
        .cell_height(options.TableCellHeight.SM)
        .sort_by([common.TableSortByFieldState().display_name(by).desc(not panel.ascending)])
    )
    if len(panel.queries) > 1:
        built.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    built.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
    for column in panel.columns:
        built.override_by_name(column.title, _properties(column))
    return built


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    properties: dict[str, object] = {"unit": column.unit}
    if column.steps:
        properties["thresholds"] = _thresholds(column.steps, column.below).build()
    if column.states:
        properties["mappings"] = _mappings(column.states)
    if column.steps or column.states:
        properties["color"] = _coloured(models.FieldColorModeId.THRESHOLDS).build()
        properties["custom.cellOptions"] = {"type": "color-text"}
    return [models.DynamicConfigValue(id_val=name, value=properties[name]) for name in properties]


def _target(kind: Kind, letter: str, query: Query) -> prometheus.Dataquery | UnknownDataquery:
    over_time = kind in (Kind.TIMESERIES, Kind.STATES)
    if query.source is Source.WAREHOUSE:
        # Grafana's package does not know the DuckDB plugin.
        return UnknownDataquery(
            {
                "refId": letter,
                "datasource": source_of(query.source),
                "editorMode": "code",
                "format": _SERIES if over_time else _TABLE,
                "rawQuery": True,
                "rawSql": query.text,
            }
        )
    as_table = kind is Kind.TABLE
    return prometheus.Dataquery(
        ref_id=letter,
        datasource=source_of(query.source),
        expr=query.text,
        legend_format=query.legend or None,
        range_val=over_time,
        instant=not over_time,
        format_val=prometheus.PromQueryFormat("table" if as_table else "time_series"),
        editor_mode=prometheus.QueryEditorMode.CODE,
    )


def _thresholds(steps: tuple[Step, ...], first: str) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                models.Threshold(value=None, color=first),
                *(models.Threshold(value=step.value, color=step.color) for step in steps),
            ]
        )
    )


def _mappings(states: tuple[State, ...]) -> list[Any]:
    if not states:
        return []
    shown = {
        str(state.value): models.ValueMappingResult(text=state.text, color=state.color, index=place)
        for place, state in enumerate(states)
    }
    return [models.ValueMap(options=shown)]


def _coloured(mode: models.FieldColorModeId) -> builders.FieldColor:
    return builders.FieldColor().mode(mode)


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
