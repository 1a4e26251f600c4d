"""A collector of OTLP over HTTP in the test's own process, and a real one in front of it."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from orchestrate.tracing.model import Span as OurSpan

PATIENCE_S = 20.0


class Request(NamedTuple):
    """What a client sent; the message is of the kind that the path stands for."""

    path: str
    headers: dict[str, str]
    message: Any


class Receiver:
    """A collector that keeps what it is sent and answers what a test tells it to.

    Attributes:
        status: What it answers.
        statuses: Answers to the next requests, before `status`.
        headers: Headers of each answer.
        body: What it answers instead of a message of OTLP.
        rejects: How many spans or lines it says of each request that it did not take.
        requests: What came, whatever the answer was.
        accepted: What was answered 200.
    """

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.rejects = 0
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self._changed = threading.Condition()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hang(self) -> None:
        """Answer nothing until `go_on`."""
        self._goes_on.clear()

    def go_on(self) -> None:
        self._goes_on.set()

    def hear(self, request: Request) -> tuple[int, bytes]:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        self._goes_on.wait(PATIENCE_S)
        with self._changed:
            status = self.statuses.pop(0) if self.statuses else self.status
            if status == 200:
                self.accepted.append(request)
            self._changed.notify_all()
        if self.body is not None:
            return status, self.body
        return status, _answer(request.path, self.rejects).SerializeToString()

    def wait_until(self, holds: Callable[[Receiver], bool]) -> bool:
        """Whether it came to hold, with each request that came."""
        with self._changed:
            return self._changed.wait_for(lambda: holds(self), PATIENCE_S)

    @property
    def spans(self) -> list[Span]:
        """Spans of accepted requests, in order of arrival."""
        return [
            span
            for request in self.accepted
            if isinstance(request.message, ExportTraceServiceRequest)
            for resource in request.message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[tuple[str, LogRecord]]:
        """Scope and line of accepted requests, in order of arrival."""
        return [
            (scope.scope.name, line)
            for request in self.accepted
            if isinstance(request.message, ExportLogsServiceRequest)
            for resource in request.message.resource_logs
            for scope in resource.scope_logs
            for line in scope.log_records
        ]

    @property
    def resources(self) -> list[dict[str, Any]]:
        """What each accepted request says of where it comes from."""
        return [
            attributes(resource.resource.attributes)
            for request in self.accepted
            for resource in (
                request.message.resource_spans
                if isinstance(request.message, ExportTraceServiceRequest)
                else request.message.resource_logs
            )
        ]


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes of a message as plain values."""
    found: list[KeyValue] = list(pairs)
    return {pair.key: _value(pair.value) for pair in found}


def as_told(span: OurSpan) -> dict[str, Any]:
    """A span of ours as plain values, to be compared with what arrived."""
    return {
        "trace": span.trace_id,
        "parent": span.parent_id or "",
        "name": span.name,
        "kind": {"internal": 1, "server": 2, "client": 3}[span.kind.value],
        "times": (span.started_us * 1000, span.ended_us * 1000),
        "status": ({"unset": 0, "ok": 1, "error": 2}[span.status.value], span.status_message),
        "attributes": span.attributes,
        "events": [(one.name, one.at_us * 1000, one.attributes) for one in span.events],
        "links": [(one.trace_id, one.span_id, one.attributes) for one in span.links],
    }


def as_arrived(span: Span) -> dict[str, Any]:
    """A span that arrived in the form of `as_told`; nothing of it may have been dropped."""
    assert span.dropped_links_count == span.dropped_attributes_count == 0
    return {
        "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "times": (span.start_time_unix_nano, span.end_time_unix_nano),
        "status": (span.status.code, span.status.message),
        "attributes": attributes(span.attributes),
        "events": [
            (one.name, one.time_unix_nano, attributes(one.attributes)) for one in span.events
        ],
        "links": [
            (one.trace_id.hex(), one.span_id.hex(), attributes(one.attributes))
            for one in span.links
        ],
    }


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


def _answer(path: str, rejects: int) -> Message:
    if path.endswith("/traces"):
        traces = ExportTraceServiceResponse()
        if rejects:
            traces.partial_success.rejected_spans = rejects
            traces.partial_success.error_message = "too old"
        return traces
    logs = ExportLogsServiceResponse()
    if rejects:
        logs.partial_success.rejected_log_records = rejects
        logs.partial_success.error_message = "too old"
    return logs


class _Server(ThreadingHTTPServer):
    # A handler that hangs on a client which went away is no reason to wait at the end.
    block_on_close = False

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up before the answer is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = (
            ExportTraceServiceRequest if self.path.endswith("/traces") else ExportLogsServiceRequest
        )
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.receiver.hear(
            Request(self.path, headers, kind.FromString(body))
        )
        self.send_response(status)
        for name, value in self.server.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def without_otel() -> Iterator[MutableMapping[str, str]]:
    """The process's own variables, since the SDK reads those: without OpenTelemetry's at first."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("OTEL_"):
            del os.environ[name]
    try:
        yield os.environ
    finally:
        os.environ.clear()
        os.environ.update(before)


def free_port() -> int:
    """A port that nobody listens on at present."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def rotel(port: int, receiver: Receiver, folder: Path) -> Iterator[str]:
    """The collector `rotel`, up while the block runs: what it gets on the port, it passes on.

    https://github.com/streamfold/rotel
    """
    spec = find_spec("rotel")
    assert spec
    assert spec.submodule_search_locations
    program = Path(spec.submodule_search_locations[0], "rotel-agent")
    options: Mapping[str, str] = {
        "otlp-http-endpoint": f"127.0.0.1:{port}",
        "otlp-grpc-endpoint": f"127.0.0.1:{free_port()}",
        "exporter": "otlp",
        "otlp-exporter-protocol": "http",
        "otlp-exporter-endpoint": receiver.url,
        "batch-timeout": "50ms",
        "log-file": str(folder / "rotel.log"),
        "pid-file": str(folder / "rotel.pid"),
    }
    command = [str(program), "start", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "rotel.out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={})
        try:
            _wait_until_up(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, by force where it does not end in time."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    rest = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        if process.poll() is not None:
            break
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        rest.wait(0.05)
    raise AssertionError(f"rotel is not up, its exit code is {process.poll()}")
