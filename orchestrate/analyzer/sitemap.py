"""The pages, in their order: in the app's navigation and on the command line."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.report import Report


class Page(NamedTuple):
    """A page: its name in addresses and commands, its title, its icon, what it answers."""

    name: str
    title: str
    icon: str
    question: str


PAGES = {
    page.name: page
    for page in (
        Page("overview", "Overview", ":material/monitor_heart:", "Is all well, in ten seconds?"),
        Page("models", "Models", ":material/account_tree:", "What of each model, test and source?"),
        Page("trends", "Trends", ":material/trending_up:", "What has changed over time?"),
        Page("cost", "Cost", ":material/payments:", "Where do time and money go?"),
        Page("overlap", "Overlap", ":material/join_inner:", "What is built more than needed?"),
        Page("extraction", "Extraction", ":material/download:", "How does Sentry's API hold up?"),
        Page("trace", "Trace", ":material/timeline:", "What happened in one run?"),
        Page("configuration", "Configuration", ":material/tune:", "Where does this come from?"),
    )
}


def report(name: str, history: History, choice: Choice) -> Report:
    """What a page says of a history."""
    module = import_module(f"orchestrate.analyzer.reports.{name}")
    function: Callable[[History, Choice], Report] = module.report
    return function(history, choice)
