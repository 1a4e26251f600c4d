"""Page `configuration`: which ledgers there are, whether they answer, and what is set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from orchestrate.analyzer import choice as choices
from orchestrate.analyzer import sources
from orchestrate.analyzer.choice import Choice
from orchestrate.analyzer.report import Insight, Metric, Report, Table, Tone, Unit
from orchestrate.analyzer.reports.configuration import ledgers, settings
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.settings import from_environment
from orchestrate.ledger.meltano.schedules import Schedule, schedules
from orchestrate.ledger.store import LedgerError


def configuration(
    output: Path,
    choice: Choice,
    environ: Mapping[str, str],
    *,
    now: pd.Timestamp | None = None,
) -> Report:
    """What the analyzer reads and with which settings. Asks no network, shows no value.

    Args:
        output: The project's folder `output`.
        choice: Its `source` is the ledger that environments are listed of.
        environ: The environment variables.
        now: The instant that ages are counted to; this one by default.

    Raises:
        ChoiceError: If there is no ledger of that name.
    """
    chosen = ledgers.look(sources.source(output, choice.source), output)
    found = [ledgers.look(source, output) for source in sources.sources(output).values()]
    planned, problem = _schedules(output)
    now = now or pd.Timestamp.now(tz="UTC")
    return Report(
        page="configuration",
        metrics=[
            Metric(name="Runs", value=chosen.runs, help=f"In the ledger {chosen.name}."),
            Metric(
                name="Newest run ago",
                value=(now - chosen.newest_at).total_seconds() if chosen.newest_at else None,
                unit=Unit.SECONDS,
                help="Since it began.",
            ),
            Metric(
                name="Reuse",
                value=chosen.reuse,
                unit=Unit.TEXT,
                help="The mode of the newest build: `off`, `shadow` or `on`. DBT_REUSE sets it.",
            ),
            Metric(name="dbt Cloud", value=_cloud_word(environ), unit=Unit.TEXT),
        ],
        insights=[*map(_tested, found), *problem, _cloud(environ)],
        tables={
            "ledgers": Table(title="Ledgers", frame=ledgers.table(found)),
            "environments": Table(
                title="Environments",
                frame=ledgers.environments(chosen, output),
                help="Megabytes of the warehouse and of its published copy; dbt's invocations of "
                "which artifacts are kept, and the different projects among them.",
            ),
            "schedules": Table(
                title="Schedules",
                frame=pd.DataFrame(planned, columns=Schedule._fields),
                help="Of meltano.yml, those with set times. Runs of their jobs count as scheduled.",
            ),
            "variables": Table(
                title="Variables",
                frame=settings.variables(environ),
                help="Whether each is set for the analyzer; never what it holds.",
            ),
            "versions": Table(title="Versions", frame=settings.versions(chosen.dbt_version)),
            "pages": Table(title="Pages", frame=pages(choice)),
        },
    )


def pages(choice: Choice) -> pd.DataFrame:
    """The pages, what each answers, and the address of it that shows the choice."""
    rows = [(page.title, page.question, address(choice, page.name)) for page in PAGES.values()]
    return pd.DataFrame(rows, columns=["page", "question", "address"])


def address(choice: Choice, page: str) -> str:
    """Path and query that open a page of the app with this choice."""
    looked_at = {*choices.WINDOW, *choices.PAGE_FIELDS[page]}
    chosen = {name: value for name, value in choices.chosen(choice).items() if name in looked_at}
    query = urlencode(chosen, doseq=True)
    return f"/{page}?{query}" if query else f"/{page}"


def _tested(found: ledgers.Looked) -> Insight:
    if found.problem:
        return Insight(Tone.WARNING if found.is_missing else Tone.BAD, found.problem)
    if not found.first_at:
        return Insight(Tone.NOTE, f"Ledger {found.name} answers, and no run is in it yet.")
    return Insight(
        Tone.GOOD,
        f"Ledger {found.name} answers: {found.runs:,} runs from {found.first_at:%Y-%m-%d %H:%M} to "
        f"{found.newest_at:%Y-%m-%d %H:%M} UTC.",
    )


def _schedules(output: Path) -> tuple[list[Schedule], list[Insight]]:
    try:
        return schedules(output.parent), []
    except LedgerError as error:
        return [], [Insight(Tone.WARNING, str(error))]


def _cloud(environ: Mapping[str, str]) -> Insight:
    try:
        found = from_environment(environ)
    except DbtCloudError as error:
        if not _is_unused(environ):
            return Insight(Tone.BAD, str(error))
        return Insight(
            Tone.NOTE,
            f"dbt Cloud is not used. To look at its runs too, set {settings.CLOUD[0]} and "
            f"{settings.CLOUD[1]} where the analyzer is started, or in .env, and start it anew.",
        )
    return Insight(
        Tone.NOTE,
        f"dbt Cloud is set up: account {found.account_id} at {found.url}. Whether it answers, the "
        "button on this page tells.",
    )


def _cloud_word(environ: Mapping[str, str]) -> str:
    try:
        from_environment(environ)
    except DbtCloudError:
        return "not used" if _is_unused(environ) else "incomplete"
    return "set up"


def _is_unused(environ: Mapping[str, str]) -> bool:
    return not any(environ.get(name) for name in settings.CLOUD)
