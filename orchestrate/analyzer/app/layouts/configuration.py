"""Page `configuration`: its layout. It is there without any ledger too."""

from __future__ import annotations

import os

import streamlit as st

from orchestrate.analyzer import sources
from orchestrate.analyzer.app import shell, widgets
from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.reports.configuration import address, configuration
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.dbt_cloud.connection import check
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.fetching import fetch
from orchestrate.dbt_cloud.settings import Settings, from_environment
from orchestrate.ledger.store import Ledger, LedgerError

_MOST_DAYS = 400
_PROBLEMS = 10


def dbt_cloud() -> None:
    """What asks dbt Cloud, or how to make that possible."""
    st.subheader("dbt Cloud", anchor=False)
    for draw, said in st.session_state.pop("fetched", []):
        draw(said)
    try:
        settings = from_environment(os.environ)
    except DbtCloudError:
        st.markdown("Once its variables are set, its runs are fetched here: see Variables below.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = st.number_input("Days to fetch", 1, _MOST_DAYS, value=30, width=160)
        is_test = st.button("Test the connection", icon=":material/network_check:")
        is_fetch = st.button("Fetch", icon=":material/cloud_download:", type="primary")
    try:
        if is_test:
            test(settings)
        if is_fetch:
            bring(settings, days)
    except (DbtCloudError, LedgerError) as error:
        st.error(str(error), icon=":material/error:")


def test(settings: Settings) -> None:
    """Ask dbt Cloud who answers."""
    with st.spinner("Asking dbt Cloud"):
        found = check(settings)
    names = ", ".join(f"{one.name} ({one.id})" for one in found.environments) or "none"
    st.success(f"Account {found.account} answers. Its environments: {names}.")
    if found.discovery:
        st.warning(f"The Discovery API does not: {found.discovery}")


def bring(settings: Settings, days: int) -> None:
    """Bring what is new of so many days into the account's ledger, then draw the page anew."""
    bar = st.progress(0.0, "Asking dbt Cloud for its runs")

    def progress(done: int, total: int) -> None:
        bar.progress(done / total if total else 1.0, f"Fetched {done:,} of {total:,} runs")

    check(settings)  # who is refused leaves no empty ledger
    with Ledger(settings.ledger(shell.output())) as ledger:
        found = fetch(ledger, settings, days=days, progress=progress)
    bar.empty()
    said = (
        f"{found.new:,} new runs; {found.already_known:,} were here already, {found.under_way:,} "
        f"are under way, of {len(found.incomplete):,} something is missing. Choose the ledger "
        f"dbt_cloud/{settings.account_id} in the sidebar."
    )
    more = len(found.problems) - _PROBLEMS
    problems = [*found.problems[:_PROBLEMS], *([f"And {more:,} more."] if more > 0 else [])]
    st.session_state["fetched"] = [(st.success, said), *((st.text, one) for one in problems)]
    st.rerun()


page = PAGES["configuration"]
st.title(page.title, anchor=False)
st.markdown(page.question)
try:
    choice = shell.given()
    sources.source(shell.output(), choice.source)
    with st.sidebar:
        choice = shell.pick(choice, "source", list(sources.sources(shell.output())), "Ledger")
    shell.remember(choice, "configuration")
    found = configuration(shell.output(), choice, os.environ)
except ChoiceError as error:
    shell.stop(str(error))

widgets.top(found)
dbt_cloud()

st.subheader("Share what you look at", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    name = st.selectbox(
        "Page", PAGES, format_func=lambda name: PAGES[name].title, width=240, key="shared page"
    )
    if st.button("Show its address", icon=":material/link:"):
        base = (st.context.url or "").rsplit("/", 1)[0]
        st.code(base + address(choice, str(name)), language=None)

tables = ("ledgers", "environments", "schedules", "variables", "versions", "pages")
for tab, name in zip(st.tabs([found.tables[one].title for one in tables]), tables, strict=True):
    with tab:
        widgets.table(found, name)
