"""The demo as a local HTTP server, the same answers over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tap_sentry.demo.exchange import Request
from tap_sentry.demo.transport import DemoSentry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        base = f"http://{self.headers.get('Host', '127.0.0.1')}"
        request = Request.from_url(
            self.command, base + self.path, self.headers.get("Authorization")
        )
        demo = self.server.demo
        if self.command not in {"GET", "HEAD"}:
            self.close_connection = True  # a body may follow that nobody reads
        with demo.answering(request) as answer:
            if answer.trouble == "stall":
                self.server.closing.wait()
            if answer.delay_s:
                demo.sleep(answer.delay_s)
            if answer.trouble in {"reset", "stall"}:
                self._hang_up()
                return
            content = answer.content()
            lines = [
                f"{self.protocol_version} {answer.status} {HTTPStatus(answer.status).phrase}",
                *(f"{k}: {v}" for k, v in demo.headers(request, answer, len(content)).items()),
            ]
            if self.close_connection:
                lines.append("Connection: close")
            head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
            sent = b"" if self.command == "HEAD" else content
            if answer.trouble == "cut":
                sent = content[: len(content) // 2]
        # A client may ask again at once: by then this request is no longer under way.
        self.wfile.write(head + sent)  # one packet where possible
        if answer.trouble == "cut":
            self._hang_up()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _hang_up(self) -> None:
        self.close_connection = True
        self.server.hang_up(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay quiet: `DemoSentry.requests` keeps the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], demo: DemoSentry) -> None:
        self.demo = demo
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    @staticmethod
    def hang_up(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are no news."""

    def stop(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                self.hang_up(connection)


@contextmanager
def serve(demo: DemoSentry, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve until the block ends; gives the address, such as `http://127.0.0.1:8765`.

    Args:
        demo: What to serve.
        port: 0 takes any free one.
        host: Address to listen on.
    """
    server = _Server((host, port), demo)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.stop()
        thread.join()
