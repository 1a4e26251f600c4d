"""Models, tests and sources: all of them, one of them, and how the project changed."""

from __future__ import annotations

from typing import NamedTuple

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report
from orchestrate.analyzer.reports.models import manifests as models_manifests
from orchestrate.analyzer.reports.models import nodes as models_nodes
from orchestrate.analyzer.reports.models import one as models_one

EMPTY = (
    "No run of this window tells which project dbt read. Build it, for instance with "
    "`meltano invoke dbt:build`, or choose a longer window or fewer filters."
)


class Parts(NamedTuple):
    """The page's parts: all nodes, the one that was chosen, the manifests."""

    nodes: Report
    node: Report
    manifests: Report


def parts(history: History, choice: Choice) -> Parts:
    """What is said of each part; there must be a project.

    Raises:
        ChoiceError: If the choice names what is not there.
    """
    return Parts(
        models_nodes.report(history, choice),
        models_one.report(history, choice),
        models_manifests.report(history, choice),
    )


def report(history: History, choice: Choice) -> Report:
    """All parts together.

    Raises:
        ChoiceError: If the choice names what is not there.
    """
    if history.project.empty:
        return Report(page="models", empty=EMPTY)
    nodes, node, manifests = parts(history, choice)
    return Report(
        page="models",
        metrics=[*node.metrics, *nodes.metrics, *manifests.metrics],
        insights=[*node.insights, *nodes.insights, *manifests.insights],
        tables={**node.tables, **nodes.tables, **manifests.tables},
    )
