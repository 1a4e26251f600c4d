"""Metrics to a Pushgateway, for workers that have no host for Prometheus to come to.

https://github.com/prometheus/pushgateway#url. One group per worker, replaced as a whole: it holds
all that the ledger knows, so that a push that failed is made up for by the next one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import requests
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from requests.auth import HTTPBasicAuth

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.exposition import registry
from orchestrate.monitoring.model import Family

JOB = "tap-sentry"
URL = "OBSERVE_PUSHGATEWAY_URL"
USER = "OBSERVE_PUSHGATEWAY_USER"
PASSWORD = "OBSERVE_PUSHGATEWAY_PASSWORD"  # noqa: S105 -- the variable's name
WORKER = "OBSERVE_PUSHGATEWAY_WORKER"

_TIMEOUT_S = 10.0


class Gateway(NamedTuple):
    """Where a worker's group is, and who may write it.

    Attributes:
        address: Of the gateway, without user and password: this may be shown.
        path: Of the group.
        auth: User and password, or None.
    """

    address: str
    path: str
    auth: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Gateway({self.address}{self.path})"


def gateway(environ: Mapping[str, str]) -> Gateway:
    """The gateway that the variables name.

    User and password may also be part of the address. A worker that has a name that lasts gives it,
    as label `instance`: two without one would replace each other's metrics.

    Raises:
        LedgerError: If there is no address, or none that can be understood.
    """
    text = environ.get(URL, "").strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        told = "is no address" if text else "is not set"
        raise LedgerError(f"Cannot push the metrics: {URL} {told}, such as http://gateway:9091.")
    user = environ.get(USER) or unquote(parts.username or "")
    password = environ.get(PASSWORD) or unquote(parts.password or "")
    shown = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    path = f"/metrics/job/{JOB}"
    worker = environ.get(WORKER, "").strip()
    if worker:
        # Whatever is in the name, a slash too.
        name = base64.urlsafe_b64encode(_as_given(worker))
        path += f"/instance@base64/{name.decode()}"
    return Gateway(address, path, (user, password) if user or password else None)


def push(families: Iterable[Family], to: Gateway, timeout_s: float = _TIMEOUT_S) -> None:
    """Replace the worker's group.

    Raises:
        LedgerError: If the gateway did not take it.
    """
    body = generate_latest(registry(families))
    _ask("PUT", to, timeout_s, ("push the metrics", "The next push brings all"), body)


def delete(to: Gateway, timeout_s: float = _TIMEOUT_S) -> None:
    """Take the worker's group away, as when it leaves for good; without one nothing happens.

    Raises:
        LedgerError: If the gateway did not do so.
    """
    _ask("DELETE", to, timeout_s, ("delete the metrics", "Ask again"))


def _as_given(text: str) -> bytes:
    # A variable may hold bytes that are no UTF-8.
    return text.encode(errors="surrogateescape")


def _ask(
    method: str, to: Gateway, timeout_s: float, words: tuple[str, str], body: bytes = b""
) -> None:
    what, later = words
    asked = f"Cannot {what} at {to.address}"
    try:
        response = requests.request(
            method,
            to.address + to.path,
            data=body,
            headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
            # As bytes: requests would take strings for Latin-1.
            auth=HTTPBasicAuth(*map(_as_given, to.auth)) if to.auth else None,
            timeout=timeout_s,
            allow_redirects=False,  # the redirected request would be without its body
        )
    except (requests.RequestException, ValueError) as error:  # of a name that can be no host's
        # The error's own text may show more of the address.
        raise LedgerError(
            f"{asked}: no answer ({type(error).__name__}). {later}; look whether it is up and "
            "can be reached."
        ) from None
    status = response.status_code
    if status in {401, 403}:
        raise LedgerError(f"{asked}: it answered {status}. Correct {USER} and {PASSWORD}.")
    if 300 <= status < 400:
        raise LedgerError(
            f"{asked}: it answered {status}, it is somewhere else. Correct {URL}, such as http "
            "into https."
        )
    if status >= 400:
        told = " ".join(response.text.split())[:500]
        reason = (
            f" ({told})"
            if response.headers.get("Content-Type", "").startswith("text/plain")
            else ""
        )
        raise LedgerError(f"{asked}: it answered {status}{reason}. {later}.")
