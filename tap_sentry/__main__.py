"""`tap-sentry`: the SDK's command line, with our errors as one line each."""

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
    except SentryError as error:
        logging.getLogger(TapSentry.name).error("%s", error)  # noqa: TRY400
    except BaseException:  # noqa: BLE001 - the hook that the SDK has set shows it
        sys.excepthook(*sys.exc_info())
    logging.shutdown()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    # Threads may still be waiting for Sentry; nobody wants their answers any more.
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()
