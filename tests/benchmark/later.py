"""The tap with a clock that goes ahead: `python -m tests.benchmark.later SECONDS [OPTIONS]`."""

from __future__ import annotations

import sys
import time
from typing import Any

from tap_sentry.tap import TapSentry


class LaterTap(TapSentry):
    """The tap as it is some time from now."""

    ahead_s = 0.0

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(clock=lambda: time.time() + self.ahead_s, **kwargs)


if __name__ == "__main__":
    LaterTap.ahead_s = float(sys.argv.pop(1))
    LaterTap.cli()
