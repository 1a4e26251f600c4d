"""Where traces and logs go, by OpenTelemetry's own variables. Nothing is imported for it.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

TRACES = "traces"
LOGS = "logs"
KINDS = (TRACES, LOGS)

_PROTOCOL = "http/protobuf"
_TIMEOUT_S = 10.0
# The specification counts OTEL_EXPORTER_OTLP_TIMEOUT in milliseconds, Python's SDK in seconds: a
# value meant for the one must not become hours with the other.
_LONGEST_S = 30.0


class Target(NamedTuple):
    """A collector for one kind. `variable` is the one that named it."""

    kind: str
    endpoint: str
    variable: str
    timeout_s: float

    @property
    def origin(self) -> str:
        """Scheme, host and port: what is down for one kind is down for the other."""
        return "/".join(self.endpoint.split("/", 3)[:3])

    @property
    def shown(self) -> str:
        """The endpoint without what may be secret in it: user, password and query."""
        try:
            parts = urlsplit(self.endpoint)
            port = f":{parts.port}" if parts.port else ""
            if parts.hostname:
                return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
        except ValueError:
            pass
        # Where there is no host, as without `http://`, a password may stand anywhere in it.
        return f"the value of {self.variable}"


def targets(environ: Mapping[str, str]) -> tuple[list[Target], list[str]]:
    """Where to send, nothing by default; and a sentence for each kind whose protocol is not ours.

    A kind is on when an endpoint is set for it or for all, unless OTEL_SDK_DISABLED is true or
    OTEL_TRACES_EXPORTER (OTEL_LOGS_EXPORTER) asks for none or for something other than otlp.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return [], []
    found: list[Target] = []
    complaints: list[str] = []
    for kind in KINDS:
        wanted = environ.get(f"OTEL_{kind.upper()}_EXPORTER") or "otlp"
        name, endpoint = _setting(environ, kind, "ENDPOINT")
        if not endpoint or "otlp" not in [word.strip().lower() for word in wanted.split(",")]:
            continue
        variable, protocol = _setting(environ, kind, "PROTOCOL")
        if protocol and protocol.lower() != _PROTOCOL:
            complaints.append(
                f"{variable} is {protocol}, and {kind} go out over {_PROTOCOL} alone: set it to "
                f"{_PROTOCOL}, and {name} to the collector's HTTP port (as a rule 4318)."
            )
            continue
        if name == "OTEL_EXPORTER_OTLP_ENDPOINT":
            endpoint = f"{endpoint.removesuffix('/')}/v1/{kind}"
        found.append(Target(kind, endpoint, name, _timeout_s(environ, kind)))
    return found, complaints


def _setting(environ: Mapping[str, str], kind: str, word: str) -> tuple[str, str]:
    """Name and value of a setting: the kind's own goes before the one for all."""
    own, common = f"OTEL_EXPORTER_OTLP_{kind.upper()}_{word}", f"OTEL_EXPORTER_OTLP_{word}"
    name = own if environ.get(own, "").strip() else common
    return name, environ.get(name, "").strip()


def _timeout_s(environ: Mapping[str, str], kind: str) -> float:
    try:
        seconds = float(_setting(environ, kind, "TIMEOUT")[1])
    except ValueError:
        return _TIMEOUT_S
    return min(seconds, _LONGEST_S) if seconds > 0 else _TIMEOUT_S
