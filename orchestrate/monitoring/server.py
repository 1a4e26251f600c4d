"""A small server of `/metrics`, for where Prometheus should come to the project by itself.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import gzip
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socketserver import ThreadingTCPServer
from types import FrameType
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.exposition import registry
from orchestrate.monitoring.model import Family
from orchestrate.monitoring.web_config import WebConfig

LOOPBACK = "127.0.0.1"

_MAX_AGE_S = 15.0
# Prometheus gives up after 10 s unless told otherwise.
_PATIENCE_S = 10.0
_IDLE_S = 120.0
# More at once are hung up on: they would use up the process's files, the ledger's among them.
MOST_CONNECTIONS = 100
_TEXT = "text/plain; charset=utf-8"
_PAGE = """<!doctype html>
<html lang="en"><title>tap-sentry</title>
<h1>tap-sentry</h1><p><a href="/metrics">Metrics</a></p></html>
"""


class Source:
    """The metrics, made at most once in a while however many ask; a failure lasts as long.

    Args:
        make: Gives them; called in the thread of one who asks, in one at a time.
        say: Takes a line when they can't be made.
        max_age_s: For how long they are good.
        patience_s: How long those who ask wait for the one who makes them.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        make: Callable[[], list[Family]],
        say: Callable[[str], None],
        max_age_s: float = _MAX_AGE_S,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._say = say
        self._max_age_s = max_age_s
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._made_at = float("-inf")
        self._made: CollectorRegistry | None = None

    def metrics(self) -> CollectorRegistry | None:
        """The metrics, or None if they can't be made.

        Raises:
            TimeoutError: If somebody is still making them.
        """
        if not self._lock.acquire(timeout=self._patience_s):
            raise TimeoutError
        try:
            if self._clock() - self._made_at >= self._max_age_s:
                self._made = self._attempt()
                self._made_at = self._clock()
            return self._made
        finally:
            self._lock.release()

    def _attempt(self) -> CollectorRegistry | None:
        try:
            return registry(self._make())
        except LedgerError as error:
            self._say(f"ERROR {error}")
        except Exception as error:  # noqa: BLE001 -- the server goes on, whatever it is
            told = " ".join(str(error).split())
            self._say(f"ERROR Cannot make the metrics: {type(error).__name__}: {told}")
        return None


def serve(
    source: Source,
    address: str,
    port: int,
    say: Callable[[str], None],
    web_config: WebConfig | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        source: What to serve.
        address: Of this machine, to listen at; LOOPBACK lets nobody in from outside.
        port: To listen at; 0 takes any that is free.
        say: Takes a line for the log.
        web_config: TLS and passwords.

    Raises:
        LedgerError: If it can't listen there.
    """
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    before = {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        with serving(source, address, port, say, web_config) as url:
            say(f"Metrics are at {url}/metrics. Ctrl-C ends it.")
            if not (web_config or _is_loopback(address)):
                say("WARN  Everybody who can reach this address can read them: see --web-config.")
            stopped.wait()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def serving(
    source: Source,
    address: str,
    port: int,
    say: Callable[[str], None],
    web_config: WebConfig | None = None,
) -> Iterator[str]:
    """The server's URL, while it is up in threads of its own; for the arguments see `serve`.

    Raises:
        LedgerError: If it can't listen there.
    """
    try:
        server = _Server(source, address, port, say, web_config)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LedgerError(
            f"Cannot serve the metrics at {address}, port {port}: {reason}. Give another "
            "address or port, or end what listens there."
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    # Who still waits for an answer does not hold up the end.
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        source: Source,
        address: str,
        port: int,
        say: Callable[[str], None],
        web_config: WebConfig | None,
    ) -> None:
        self.source, self.say, self.web_config = source, say, web_config
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.address_family, *_ = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        super().__init__((address, port), _Handler)

    @property
    def url(self) -> str:
        scheme = "https" if self.web_config and self.web_config.context else "http"
        host, port = self.socket.getsockname()[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def verify_request(self, *_: Any) -> bool:
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In a thread of its own: a client that does not go on with TLS keeps up nobody else.
        if self.web_config:
            self.web_config.refresh()
            if self.web_config.context:
                request.settimeout(_PATIENCE_S)
                with self.web_config.context.wrap_socket(request, server_side=True) as secured:
                    super().finish_request(secured, client_address)
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        # A client that went away, or whose TLS is not ours, is no fault of the server.
        if not isinstance(error, OSError):
            self.say(f"ERROR Cannot answer a request for the metrics: {type(error).__name__}.")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is a body, not the next request
        config = self.server.web_config
        if config and not config.lets_in(self.headers.get("Authorization")):
            challenge = {"WWW-Authenticate": 'Basic realm="metrics", charset="UTF-8"'}
            self._answer(HTTPStatus.UNAUTHORIZED, "Unauthorized.\n", headers=challenge)
        elif self.command not in {"GET", "HEAD"}:
            allow = {"Allow": "GET, HEAD"}
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD.\n", headers=allow)
        else:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._metrics()
            elif path == "/-/healthy":
                self._answer(HTTPStatus.OK, "Healthy.\n")
            elif path == "/":
                self._answer(HTTPStatus.OK, _PAGE, "text/html; charset=utf-8")
            else:
                self._answer(HTTPStatus.NOT_FOUND, "Nothing is here; see /metrics.\n")

    # The names are those of http.server.
    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def version_string(self) -> str:
        return "tap-sentry"

    def log_message(self, *_: Any) -> None:
        """A line for each scrape would be most of the log."""

    def _metrics(self) -> None:
        try:
            found = self.server.source.metrics()
        except TimeoutError:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "The metrics are still being made.\n")
            return
        if found is None:
            told = "The metrics could not be made; the server's log says why.\n"
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, told)
            return
        try:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        except TypeError:  # it compares a version that is no number with one that is
            encode, content_type = choose_encoder("")
        body, headers = encode(found), {"Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(self.headers.get("Accept-Encoding", "")):
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        self._answer(HTTPStatus.OK, body, content_type, headers)

    def _answer(
        self,
        status: HTTPStatus,
        body: str | bytes,
        content_type: str = _TEXT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        sent = body.encode() if isinstance(body, str) else body
        config = self.server.web_config
        always = config.headers if config else {}
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(sent)))
        for name, value in (*always.items(), *(headers or {}).items()):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
