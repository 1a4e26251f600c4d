"""What every page of the app begins with: the choice, in sidebar and address, and its history."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import streamlit as st

from orchestrate.analyzer import choice as choices
from orchestrate.analyzer import loading, sources
from orchestrate.analyzer.choice import Choice, ChoiceError
from orchestrate.analyzer.history import History
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.analyzer.sources import Source
from orchestrate.ledger.store import LedgerError

_REFRESH_S = 60
_MANY_RUNS = 1_000  # from so many on, loading shows how far it is
_DAYS = {1: "a day", 7: "7 days", 30: "30 days", 90: "90 days", 365: "a year", 0: "all"}
_RESULTS = ("success", "failure", "timeout", "killed", "running")


def output() -> Path:
    """The project's folder `output`, as whoever started the app named it."""
    return Path(os.environ.get("ANALYZER_OUTPUT_PATH") or "output")


def begin(name: str) -> tuple[History, Choice]:
    """Draw a page's title and the choice of runs; give the history that it leaves, and the choice.

    Where there is nothing to look at, it says what to do, and the page ends there.
    """
    page = PAGES[name]
    st.title(page.title, anchor=False)
    st.markdown(page.question)
    try:
        choice = given()
        sources.source(output(), choice.source)
        with st.sidebar:
            choice = pick(choice, "source", list(sources.sources(output())), "Ledger")
            days = sorted({*_DAYS, choice.days}, key=lambda days: (days == 0, days))
            choice = pick(choice, "days", days, "Window", _days)
        loaded = _history(choice)
        sources.check(loaded, choice)
        with st.sidebar:
            choice = _runs(choice, loaded)
    except (ChoiceError, LedgerError) as error:
        stop(str(error))
    remember(choice, name)
    left = loaded.chosen(choice)
    if left.runs.empty:
        _nothing(loaded, choice)
    return left, choice


def given() -> Choice:
    """What was chosen before in this session, else what the address says.

    Raises:
        ChoiceError: If the address names something that can't be chosen.
    """
    if "choice" in st.session_state:
        chosen: Choice = st.session_state["choice"]
        return chosen
    address: dict[str, Any] = {}
    for name in st.query_params:
        values = st.query_params.get_all(name)
        address[name] = values if choices.is_many(name) else values[-1]
    return choices.choose(address)


def remember(choice: Choice, page: str) -> None:
    """Keep a choice for the other pages, and in the address what this one looks at."""
    st.session_state["choice"] = choice
    looked_at = {*choices.WINDOW, *choices.PAGE_FIELDS[page]}
    st.query_params.from_dict(
        {
            name: list(value) if isinstance(value, tuple) else str(value)
            for name, value in choices.chosen(choice).items()
            if name in looked_at
        }
    )


def pick(
    choice: Choice,
    name: str,
    options: Sequence[Any] = (),
    label: str | None = None,
    shown: Callable[[Any], str] = lambda value: str(value) or "all",
) -> Choice:
    """Draw what chooses a field of the choice. Returns the choice with what was chosen.

    Args:
        choice: So far.
        name: The field.
        options: What there is to choose; of a field with a list of values, those by default. A
            number without options is typed in, and so is a text.
        label: What stands above it; the name by default.
        shown: How an option is written.
    """
    before = getattr(choice, name)
    options = list(options) or list(choices.values(name))
    key = f"{name} {before!r}" if not options else name
    told: dict[str, Any] = {
        "label": label or name.replace("_", " ").capitalize(),
        "key": f"choose {key}",
        "help": choices.description(name).capitalize(),
    }
    after: Any
    if choices.is_many(name):
        chosen = [one for one in before if one in options]
        after = tuple(st.multiselect(options=options, default=chosen, format_func=shown, **told))
    elif options:
        after = st.selectbox(
            options=options, index=options.index(before), format_func=shown, **told
        )
    elif isinstance(before, float):
        after = st.number_input(min_value=0.0, value=before, step=0.05, **told)
    else:
        after = st.text_input(value=before, **told).strip()
    return msgspec.structs.replace(choice, **{name: after})


def stop(text: str) -> None:
    """Say what is wrong with what was chosen, with a way back; the page ends there."""
    st.error(text)
    st.button("Show everything", on_click=_forget)
    st.stop()


def _days(days: int) -> str:
    return _DAYS.get(days, f"{days} days")


def _runs(choice: Choice, loaded: History) -> Choice:
    """Which of the loaded runs."""
    targets = sorted(set(loaded.invocations["target"]))
    choice = pick(choice, "environment", ["", *loaded.environments])
    choice = pick(choice, "job", loaded.jobs)
    with st.expander("More filters"):
        choice = pick(choice, "job_type")
        choice = pick(choice, "result", _RESULTS)
        choice = pick(choice, "planner", label="Reuse planner")
        return pick(choice, "target", list(dict.fromkeys(["", *targets, choice.target])))


def _history(choice: Choice) -> History:
    source = sources.source(output(), choice.source)
    if source.name == sources.LOCAL:
        warning = _collect(output())
        if warning:
            st.warning(f"Shown is what was collected before. {warning}")
    loaded = _load(source, choice.days, loading.version(source.path))
    return replace(loaded, now=pd.Timestamp.now(tz="UTC"))


@st.cache_data(ttl=_REFRESH_S, show_spinner="Reading what is new")
def _collect(folder: Path) -> str | None:
    return sources.collect_new(folder)


@st.cache_resource(max_entries=3, show_spinner="Reading the ledger")
def _load(source: Source, days: int, version: tuple[int, ...]) -> History:  # noqa: ARG001
    """The history; another version of the ledger is loaded anew."""
    bar = st.empty()

    def progress(done: int, total: int) -> None:
        if total >= _MANY_RUNS:
            bar.progress(done / total, f"Reading runs: {done:,} of {total:,}")

    loaded = loading.load(
        source.path,
        days=days,
        now_us=time.time_ns() // 1000,
        schedules=sources.known_schedules(output()),
        state_aware=sources.state_aware(source),
        progress=progress,
    )
    bar.empty()
    return loaded


def _nothing(loaded: History, choice: Choice) -> None:
    if not loaded.total_runs:
        _stop_quietly(
            "No run is in this ledger yet. Each `meltano run` leaves one: run the pipeline, for "
            "instance `meltano run tap-sentry target-duckdb dbt`, and come back."
        )
    if loaded.runs.empty:
        _stop_quietly(
            f"None of the ledger's {loaded.total_runs:,} runs began in the last "
            f"{_days(choice.days)}. Choose a longer window in the sidebar."
        )
    _stop_quietly(
        f"None of the {len(loaded.runs):,} runs of this window is of this environment, job, type, "
        "result, planner and target. Choose fewer filters in the sidebar."
    )


def _stop_quietly(text: str) -> None:
    st.info(text, icon=":material/info:")
    st.stop()


def _forget() -> None:
    st.session_state.pop("choice", None)
    st.query_params.clear()
