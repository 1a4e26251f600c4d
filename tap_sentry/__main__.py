"""`tap-sentry`: the SDK's command line, with foreseeable errors as one line each."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

from tap_sentry.errors import SentryError
from tap_sentry.tap import TapSentry


def main() -> None:
    """Run the command line; exit code 1 after an error."""
    code: int | str | None = 1
    try:
        TapSentry.cli()
    except SystemExit as stopped:
        code = stopped.code
    except BaseException as error:  # noqa: BLE001 - the hook that the SDK has set shows it
        if line := _in_one_line(error):
            logging.getLogger(TapSentry.name).error("%s", line)  # noqa: TRY400
        else:
            sys.excepthook(*sys.exc_info())
    logging.shutdown()
    with contextlib.suppress(OSError, AttributeError):  # closed, or full: `code` tells already
        sys.stdout.flush()
    # Threads may still be waiting for Sentry; nobody wants their answers any more.
    os._exit(code if isinstance(code, int) else int(code is not None))


def _in_one_line(error: BaseException) -> str:
    """What is wrong and what was wanted; empty for an error that nobody foresaw."""
    if isinstance(error, (SentryError, FileNotFoundError)):
        return str(error)
    if isinstance(error, OSError):
        return f"The output cannot be written: {error}"
    # Of the json module in use, whichever that is; Sentry's answers are another matter.
    if type(error).__name__ == "JSONDecodeError":
        return f"A file with settings, catalog or state is no JSON: {error}"
    return ""


if __name__ == "__main__":
    main()
