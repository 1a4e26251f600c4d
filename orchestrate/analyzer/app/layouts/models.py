"""Page `models`: its layout."""

from __future__ import annotations

from typing import Any

import msgspec
import streamlit as st

from orchestrate.analyzer import formats
from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts import models as charts
from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.report import Report, Unit
from orchestrate.analyzer.reports import models as reports
from orchestrate.analyzer.reports.models import configured as models_configured
from orchestrate.analyzer.reports.models import manifests as models_manifests
from orchestrate.analyzer.reports.models import nodes as models_nodes

_COLUMNS: dict[str, Any] = {
    "name": st.column_config.TextColumn("name", pinned=True),
    "last_durations": st.column_config.LineChartColumn(
        "last durations", help="Seconds of the last 20 times it was at work", y_min=0
    ),
    "last_classes": st.column_config.TextColumn("last results", width=230),
    "tags": st.column_config.ListColumn("tags"),
}

history, choice = shell.begin("models")
if history.project.empty:
    widgets.top(reports.report(history, choice))
nodes = models_configured.configured(history.project)
options = models_configured.options(nodes)
opened = "One node" if choice.model else "Changes" if choice.manifest else "All nodes"
all_nodes, one_node, changes = st.tabs(
    ["All nodes", "One node", "Changes"], default=opened, key="models"
)
with all_nodes:
    for names in (("package", "owner", "tag"), ("node_class", "search", "group_by")):
        for column, name in zip(st.columns(3), names, strict=True):
            with column:
                choice = shell.pick(choice, name, options.get(name, ()))
with one_node:
    name_of = dict(zip(nodes["unique_id"], nodes["name"], strict=True))
    try:
        choice = msgspec.structs.replace(
            choice, model=choice.model and models_configured.find(nodes, choice.model)
        )
    except ChoiceError as error:
        shell.stop(str(error))
    choice = shell.pick(
        choice,
        "model",
        ["", *sorted(name_of, key=lambda one: (name_of[one], one))],
        "Node",
        lambda one: f"{name_of[one]} ({one.partition('.')[0]})" if one else "choose one",
    )
with changes:
    known = models_manifests.manifests(history)["manifest"].str[: models_manifests.DIGITS]
    for column, name, label in zip(
        st.columns(2), ("other_manifest", "manifest"), ("From manifest", "To manifest"), strict=True
    ):
        with column:
            there = list(dict.fromkeys(["", *known, getattr(choice, name)]))
            choice = shell.pick(choice, name, there, label, lambda one: one or "by itself")
shell.remember(choice, "models")
try:
    parts = reports.parts(history, choice)
except ChoiceError as error:
    shell.stop(str(error))


def groups(found: Report) -> None:
    """Each group with its numbers, and its nodes when it is opened."""
    members = dict(models_nodes.groups(found.tables["nodes"].frame, choice.group_by))
    for group in found.tables["groups"].frame.to_dict("records"):
        name = group["group"]
        told = (
            f"nodes {group['nodes']:,}",
            f"coverage {formats.value(group['coverage'], Unit.SHARE)}",
            f"work {formats.value(group['seconds'], Unit.SECONDS)}",
            f"errors {group['errors']:,}",
            f"failing tests {formats.value(group['failing_tests'], Unit.COUNT)}",
            f"reuse rate {formats.value(group['reuse_rate'], Unit.SHARE)}",
        )
        with st.expander(f"**{name}**: {', '.join(told)}"):
            table = models_nodes.table(members[name], f"Nodes of {name}")
            part = Report(page="models", tables={f"nodes of {name}": table})
            widgets.table(part, f"nodes of {name}", columns=_COLUMNS)


with all_nodes:
    found = parts.nodes
    widgets.metrics(found)
    widgets.insights(found.insights)
    widgets.table(found, "nodes", columns=_COLUMNS)
    left, right = st.columns(2) if "groups" in found.tables else (st.container(), None)
    with left:
        st.subheader("Last results", anchor=False)
        widgets.chart(
            charts.classes(found.tables["classes"].frame),
            "Bars: how many nodes of each group, or of each kind, ended so when they ran last.",
            "classes",
        )
    if right:
        with right:
            widgets.table(found, "groups")
        groups(found)

with one_node:
    found = parts.node
    if not found.tables:
        st.info("Choose a node above, or --model on the command line.", icon=":material/info:")
    else:
        widgets.metrics(found)
        widgets.insights(found.insights)
        st.subheader("Lineage", anchor=False)
        widgets.chart(
            charts.lineage(found.tables["node_lineage"].frame),
            "Columns: what the node reads on the left, what reads it on the right.",
            "lineage",
        )
        if "node_freshness" in found.tables:
            st.subheader("Age", anchor=False)
            widgets.chart(
                charts.ages(found.tables["node_freshness"].frame),
                "Points: how old the source's newest rows were at each look; lines: its limits.",
                "ages",
            )
        elif not found.tables["node_runs"].frame.empty:
            st.subheader("Durations", anchor=False)
            widgets.chart(
                charts.durations(found.tables["node_runs"].frame),
                "Points: the node's seconds in each run, by what became of it.",
                "durations",
            )
        shown = list(found.tables)
        for tab, name in zip(
            st.tabs([name.removeprefix("node_").capitalize() for name in shown]), shown, strict=True
        ):
            with tab:
                widgets.table(found, name)

with changes:
    found = parts.manifests
    widgets.metrics(found)
    widgets.insights(found.insights)
    for name in found.tables:
        widgets.table(found, name)
