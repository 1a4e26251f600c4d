"""`python -m tap_sentry.demo`: the demo as a local server.

Example:
    python -m tap_sentry.demo --port 8765 --now 2026-11-20T12:00:00Z --latency-ms 50 \
        --token secret=org:read,project:read,event:read --fault "ServerError every=10 status=502"
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timezone

from tap_sentry.demo import dates
from tap_sentry.demo.access import ALL_SCOPES
from tap_sentry.demo.catalogue import ORGANIZATION_SLUG
from tap_sentry.demo.dialects import DIALECTS
from tap_sentry.demo.fault_script import FAULTS, parsed
from tap_sentry.demo.faults import Fault
from tap_sentry.demo.limits import SENTRY_LIMITS
from tap_sentry.demo.server import serve
from tap_sentry.demo.transport import DemoSentry
from tap_sentry.demo.world import World, utc_now


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line; a mistake in it ends the program with one line."""
    parser = argparse.ArgumentParser(
        prog="python -m tap_sentry.demo", description="A simulated Sentry on this machine."
    )
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free port")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=_scale, default=1.0, help="1: about 4,000 events")
    parser.add_argument("--projects", type=int, default=6)
    parser.add_argument("--now", type=_moment, help="stops the world's clock at this instant")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument(
        "--dialect", choices=tuple(DIALECTS), default="sentry",
        help="the server it is like: today's Sentry, a self-hosted one of 2024, or GlitchTip",
    )  # fmt: skip
    parser.add_argument("--limits", choices=("sentry", "off"), default="sentry")
    parser.add_argument(
        "--token", type=_token, action="append", metavar="TOKEN[=SCOPE,SCOPE]",
        help="demand a token; may be repeated; all scopes unless some are named",
    )  # fmt: skip
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar='"NAME KEY=VALUE ..."',
        help=f"may be repeated; names: {', '.join(FAULTS)}",
    )  # fmt: skip
    found = parser.parse_args(argv)
    if found.projects < 0 or found.latency_ms < 0 or not 0 <= found.port < 65536:
        parser.error("--projects, --latency-ms and --port must not be negative, ports end at 65535")
    return found


def demo(options: argparse.Namespace) -> DemoSentry:
    """The demo that a command line describes."""
    frozen: datetime | None = options.now
    world = World(
        seed=options.seed,
        clock=(lambda: frozen) if frozen else utc_now,
        scale=options.scale,
        project_count=options.projects,
    )
    return DemoSentry(
        world,
        limits=SENTRY_LIMITS if options.limits == "sentry" else None,
        dialect=options.dialect,
        faults=options.fault,
        tokens=dict(options.token) if options.token else None,
        latency_s=options.latency_ms / 1000,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    options = arguments(argv)
    token = options.token[0][0] if options.token else "anything"
    try:
        with serve(demo(options), options.port) as base_url:
            print(base_url, flush=True)  # noqa: T201 - the address is this program's output
            print(  # noqa: T201
                f"TAP_SENTRY_BASE_URL={base_url} TAP_SENTRY_ORGANIZATION={ORGANIZATION_SLUG} "
                f"TAP_SENTRY_API_TOKEN={token} tap-sentry --config=ENV",
                flush=True,
            )
            threading.Event().wait()
    except OSError as error:
        print(f"Cannot listen on port {options.port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(dates.parsed(text), timezone.utc)
    except ValueError:
        message = f"{text!r} is no date such as 2026-11-20T12:00:00Z"
        raise argparse.ArgumentTypeError(message) from None


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = -1
    if not 0 <= scale <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1000")
    return scale


def _token(text: str) -> tuple[str, tuple[str, ...]]:
    token, named, scopes = text.partition("=")
    if not token:
        raise argparse.ArgumentTypeError("a token cannot be empty")
    return token, tuple(filter(None, scopes.split(","))) if named else ALL_SCOPES


def _fault(text: str) -> Fault:
    try:
        return parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
