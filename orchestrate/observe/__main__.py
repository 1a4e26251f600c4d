"""`observe`: what the pipeline's runs did, to look at and to hand on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module

from orchestrate.ledger import FILE
from orchestrate.ledger.store import Ledger, LedgerError
from orchestrate.observe.parser import parser
from orchestrate.words import say


def main() -> int:
    arguments = parser(os.environ).parse_args()
    # What a command needs is loaded with it: some of it takes longer than the ledger to read.
    module, _, function = arguments.command.partition(":")
    command: Callable[[Ledger, argparse.Namespace], None] = getattr(
        import_module(f"orchestrate.observe.{module}"), function
    )
    try:
        with Ledger(arguments.output / FILE) as ledger:
            command(ledger, arguments)
    except LedgerError as error:
        say(f"ERROR {error}")
        return 1
    except BrokenPipeError:
        # `observe runs | head`: nobody reads the rest. Python would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
