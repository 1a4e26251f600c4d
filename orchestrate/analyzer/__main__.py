"""`analyzer`: the app, and every page of it on the command line.

Without a page it serves the app; with one it prints that page, as text or JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from orchestrate.analyzer import choice as choices
from orchestrate.analyzer.choice import ChoiceError
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.ledger.store import LedgerError
from orchestrate.words import say

_OPTIONS_OF_OURS = frozenset({"page", "output", "json", "collect", "rows", "address", "port"})


def main() -> int:
    arguments = parser(os.environ).parse_args()
    try:
        if arguments.page == "serve":
            _serve(arguments)
        _print(arguments)
    except (ChoiceError, LedgerError) as error:
        say(f"ERROR {error}")
        return 1
    except BrokenPipeError:
        # `analyzer cost | head`: nobody reads the rest. Python would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Reads the command line: a page, and the fields of the choice that it looks at."""
    reader = argparse.ArgumentParser(
        prog="analyzer",
        description="Where time, freshness and money of the pipeline's runs go.",
    )
    reader.add_argument(
        "--output",
        type=Path,
        default=Path(environ.get("ANALYZER_OUTPUT_PATH") or "output"),
        help="the folder that runs write to; the ledger lies in it (default: %(default)s)",
    )
    reader.set_defaults(page="serve", address=None, port=None)
    commands = reader.add_subparsers(metavar="PAGE")
    serving = commands.add_parser("serve", help="Serve the app until Ctrl-C; as without a page.")
    serving.set_defaults(page="serve")
    serving.add_argument("--address", help="where to listen (default: 127.0.0.1)")
    serving.add_argument("--port", type=int, help="(default: 8501)")
    for page in PAGES.values():
        added = commands.add_parser(page.name, help=page.question, description=page.question)
        added.set_defaults(page=page.name)
        added.add_argument("--json", action="store_true", help="everything, as JSON")
        added.add_argument(
            "--rows", type=int, default=15, help="of each table, as text (default: %(default)s)"
        )
        added.add_argument(
            "--no-collect",
            dest="collect",
            action="store_false",
            help="look at what was collected before, do not read the logs",
        )
        for name in (*choices.WINDOW, *choices.PAGE_FIELDS[page.name]):
            _add_field(added, name)
    return reader


def _add_field(reader: argparse.ArgumentParser, name: str) -> None:
    told = choices.description(name)
    before = choices.default(name)
    if before not in ((), ""):
        told += f" (default: {before})"
    options: dict[str, Any] = {"help": told.replace("%", "%%"), "default": argparse.SUPPRESS}
    if choices.is_many(name):
        options["action"] = "append"
        options["help"] += "; may be given more than once"
    reader.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", **options)


def _print(arguments: argparse.Namespace) -> None:
    # Pandas is loaded with the first page: `--help` need not wait for it.
    from orchestrate.analyzer import printing, sources  # noqa: PLC0415
    from orchestrate.analyzer.report import as_json  # noqa: PLC0415
    from orchestrate.analyzer.reports import configuration  # noqa: PLC0415
    from orchestrate.analyzer.sitemap import report  # noqa: PLC0415

    given = {name: value for name, value in vars(arguments).items() if name not in _OPTIONS_OF_OURS}
    choice = choices.choose(given)
    if arguments.collect and choice.source == sources.LOCAL:
        warning = sources.collect_new(arguments.output)
        if warning:
            say(f"WARN  Shown is what was collected before. {warning}")
    if arguments.page == "configuration":
        found = configuration.configuration(arguments.output, choice, os.environ)
    else:
        found = report(arguments.page, sources.history(arguments.output, choice), choice)
    if arguments.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        printing.show(found, arguments.rows)


def _serve(arguments: argparse.Namespace) -> NoReturn:
    """Become Streamlit, running the app: whoever stops this process stops the app."""
    command = (
        *(sys.executable, "-m", "streamlit", "run", str(Path(__file__).parent / "app/main.py")),
        *("--server.address", arguments.address or "127.0.0.1"),
        *("--server.port", str(arguments.port or 8501)),
        *("--server.headless", "true"),
        *("--server.fileWatcherType", "none"),
        *("--browser.gatherUsageStats", "false"),
        *("--client.toolbarMode", "minimal"),
    )
    os.environ["ANALYZER_OUTPUT_PATH"] = str(arguments.output.absolute())
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
