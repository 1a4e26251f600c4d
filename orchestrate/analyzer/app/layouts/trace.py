"""Page `trace`: its layout."""

from __future__ import annotations

import msgspec
import pandas as pd
import streamlit as st

from orchestrate.analyzer import formats
from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.charts.trace import path as path_figure
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.history import History
from orchestrate.analyzer.reports import trace
from orchestrate.ledger.store import LedgerError

_LISTED_RUNS = 200
_FRAME_HEIGHT = 900


def chosen_run(history: History, choice: Choice) -> tuple[Choice, str]:
    """Draw the list of runs. Returns the choice and the id of the run that it means."""
    if choice.run != trace.LAST:
        full = trace.find(history, choice.run)
        choice = msgspec.structs.replace(choice, run=str(full))
    runs = history.runs.sort_values("started_at", ascending=False).head(_LISTED_RUNS)
    runs = runs.set_index(runs["run_id"].astype("object"))

    def written(run_id: str) -> str:
        if run_id == trace.LAST:
            return f"the newest: {written(runs.index[0])}"
        if run_id not in runs.index:
            return run_id
        run = runs.loc[run_id]
        took = f", {formats.duration(run['run_seconds'])}" if pd.notna(run["run_seconds"]) else ""
        return f"{run['started_at']:%Y-%m-%d %H:%M:%S} UTC, {run['job']}, {run['result']}{took}"

    options = dict.fromkeys([trace.LAST, *runs.index, choice.run])
    choice = shell.pick(choice, "run", list(options), "Run", written)
    return choice, str(trace.find(history, choice.run))


history, choice = shell.begin("trace")
try:
    choice, run_id = chosen_run(history, choice)
    shell.remember(choice, "trace")
    traced = trace.read(history, run_id)
except LedgerError as error:
    shell.stop(str(error))

found = trace.describe(traced)
widgets.top(found)
widgets.chart(
    path_figure(found.tables["path"].frame),
    "Bars: the parts of the critical path one after another, by what each was spent on.",
    "path",
)

document = trace.document(traced)
st.subheader("The trace", anchor=False)
st.download_button(
    "HTML",
    document,
    f"trace-{run_id}.html",
    "text/html",
    on_click="ignore",
    icon=":material/download:",
    help="The trace as one file that needs no network, as `observe trace` writes it.",
)
# Light or dark as the app is, which need not be what the browser prefers.
framed = document.replace("<html ", f'<html data-theme="{st.context.theme.type}" ', 1)
st.iframe(framed, height=_FRAME_HEIGHT, alt=f"The trace of run {run_id}")

shown = {
    "Nodes": ("nodes",),
    "Critical path": ("path_kinds", "path"),
    "Streams": ("streams", "skipped"),
    "Steps": ("steps",),
    "Facts": ("facts",),
}
for tab, names in zip(st.tabs(list(shown)), shown.values(), strict=True):
    with tab:
        for name in names:
            widgets.table(found, name)
