"""The metrics server, asked over HTTP as Prometheus, a person and a stranger would."""

from __future__ import annotations

import gzip
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.model import Family, Kind, Metric, Sample
from orchestrate.monitoring.server import (
    LOOPBACK,
    MOST_CONNECTIONS,
    Source,
    serve,
    serving,
)
from tests.otlp import free_port
from tests.project import ROOT

PATIENCE_S = 20.0
ROWS = Family(
    Metric("stream_rows_total", "Rows that the tap wrote."),
    Kind.COUNTER,
    ("environment", "stream"),
    (Sample(("demo", "issues"), 120.0),),
)
# What Prometheus 2.42 sends.
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
SERVE = """
from orchestrate.monitoring.server import Source, serve
serve(Source(lambda: [], print), "127.0.0.1", 0, lambda text: print(text, flush=True))
print("ended")
"""


class Maker:
    """Makes the metrics, or fails; counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self) -> list[Family]:
        self.calls += 1
        if self.error:
            raise self.error
        return [ROWS._replace(samples=(Sample(("demo", "issues"), float(self.calls)),))]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Server:
    """A server that is up, what it makes, and what it said."""

    def __init__(self) -> None:
        self.make, self.clock = Maker(), Clock()
        self.said: list[str] = []
        self.source = Source(self.make, self.said.append, max_age_s=15, clock=self.clock)
        self.url = ""

    def ask(
        self, path: str = "/metrics", method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    with serving(found.source, LOOPBACK, 0, found.said.append) as found.url:
        yield found


class TestMetrics:
    def test_are_prometheus_text_for_whom_asks_for_nothing_else(self, server: Server) -> None:
        status, headers, body = server.ask()
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        (family,) = text_string_to_metric_families(body.decode())
        assert family.samples[0].labels == {"environment": "demo", "stream": "issues"}

    def test_are_openmetrics_for_whom_prefers_it(self, server: Server) -> None:
        _, headers, body = server.ask(Accept=OPENMETRICS)
        assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
        assert body.endswith(b"# EOF\n")

    @pytest.mark.parametrize(
        "accept",
        ["", "text/html", ";;;=,", "text/plain;version=x", "text/plain;version=0.0.4;escaping=x"],
    )
    def test_are_text_for_whom_asks_oddly(self, server: Server, accept: str) -> None:
        status, headers, _ = server.ask(Accept=accept)
        assert (status, headers["Content-Type"][:10]) == (200, "text/plain")

    def test_are_compressed_for_whom_can_read_it(self, server: Server) -> None:
        _, headers, body = server.ask(Accept_Encoding="gzip")
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == server.ask()[2]

    def test_do_not_mind_a_query(self, server: Server) -> None:
        assert server.ask("/metrics?a=/b")[0] == 200


class TestMaking:
    def test_happens_once_in_a_while(self, server: Server) -> None:
        assert server.ask()[2] == server.ask()[2]
        server.clock.now_s = 14.9
        server.ask()
        assert server.make.calls == 1
        server.clock.now_s = 15
        assert b'stream="issues"} 2.0' in server.ask()[2]

    def test_happens_once_however_many_ask(self) -> None:
        goes_on, calls = threading.Event(), []

        def make() -> list[Family]:
            calls.append(1)
            goes_on.wait(PATIENCE_S)
            return [ROWS]

        source = Source(make, lambda _: None)
        asking = [threading.Thread(target=source.metrics) for _ in range(10)]
        for thread in asking:
            thread.start()
        goes_on.set()
        for thread in asking:
            thread.join()
        assert len(calls) == 1

    def test_that_is_slow_lets_others_go_with_a_503(self) -> None:
        began, goes_on = threading.Event(), threading.Event()

        def make() -> list[Family]:
            began.set()
            goes_on.wait(PATIENCE_S)
            return [ROWS]

        server = Server()
        server.source = Source(make, server.said.append, patience_s=0.01)
        with serving(server.source, LOOPBACK, 0, server.said.append) as server.url:
            first = threading.Thread(target=server.ask)
            first.start()
            assert began.wait(PATIENCE_S)
            assert server.ask()[0] == 503
            goes_on.set()
            first.join()
            assert server.ask()[0] == 200

    def test_that_fails_is_a_500_that_tells_nothing_and_a_line_in_the_log(
        self, server: Server
    ) -> None:
        server.make.error = LedgerError("Cannot read the ledger /secret/ledger.db: it is damaged.")
        status, _, body = server.ask()
        assert (status, body.count(b"\n")) == (500, 1)
        assert b"secret" not in body
        assert server.said == ["ERROR Cannot read the ledger /secret/ledger.db: it is damaged."]

    def test_that_fails_in_an_unknown_way_is_a_line_too(self, server: Server) -> None:
        server.make.error = ZeroDivisionError("by\nzero")
        assert server.ask()[0] == 500
        assert server.said == ["ERROR Cannot make the metrics: ZeroDivisionError: by zero"]

    def test_that_failed_is_not_tried_again_at_once(self, server: Server) -> None:
        server.make.error = LedgerError("no")
        assert [server.ask()[0], server.ask()[0]] == [500, 500]
        assert server.make.calls == 1
        server.clock.now_s, server.make.error = 15, None
        assert server.ask()[0] == 200


class TestPaths:
    def test_root_leads_to_the_metrics(self, server: Server) -> None:
        status, headers, body = server.ask("/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b'href="/metrics"' in body

    def test_health_does_not_make_metrics(self, server: Server) -> None:
        assert server.ask("/-/healthy")[0] == 200
        assert server.make.calls == 0

    @pytest.mark.parametrize("path", ["/metrics/", "/../etc/passwd", "//[", "/metricsx"])
    def test_others_are_not_there(self, server: Server, path: str) -> None:
        assert server.ask(path)[0] == 404

    @pytest.mark.parametrize("path", ["/", "/metrics", "/nothing"])
    def test_asked_with_head_have_no_body(self, server: Server, path: str) -> None:
        got, head = server.ask(path), server.ask(path, "HEAD")
        assert head[2] == b""
        assert (head[0], head[1]["Content-Length"]) == (got[0], str(len(got[2])))

    def test_send_nothing_behind_the_headers_of_head(self, server: Server) -> None:
        with socket.create_connection((LOOPBACK, urlsplit(server.url).port or 0)) as client:
            client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            sent = b"".join(iter(lambda: client.recv(4096), b""))
        assert sent.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_take_no_other_methods(self, server: Server, method: str) -> None:
        status, headers, _ = server.ask(method=method, body="x" * 100)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert headers["Connection"] == "close"  # the body was not read

    def test_are_answered_on_one_connection(self, server: Server) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE_S)
        for path in ("/", "/nothing", "/metrics"):
            connection.request("GET", path)
            connection.getresponse().read()
            assert connection.sock is not None
        connection.close()

    def test_do_not_tell_what_python_it_is(self, server: Server) -> None:
        assert server.ask("/")[1]["Server"] == "tap-sentry"


class TestListening:
    def test_where_another_listens_is_one_clear_line(self, server: Server) -> None:
        port = urlsplit(server.url).port or 0
        with (
            pytest.raises(LedgerError, match=rf"at 127\.0\.0\.1, port {port}: Address already"),
            serving(server.source, LOOPBACK, port, server.said.append),
        ):
            pass

    @pytest.mark.parametrize(
        ("address", "port"), [("no.such.host.invalid", 0), ("a..b", 0), (LOOPBACK, 70_000)]
    )
    def test_nowhere_is_one_clear_line(self, server: Server, address: str, port: int) -> None:
        with (
            pytest.raises(LedgerError, match=r"^Cannot serve the metrics at [^\n]*$"),
            serving(server.source, address, port, server.said.append),
        ):
            pass

    def test_on_loopback_lets_in_nobody_else(self, server: Server) -> None:
        assert urlsplit(server.url).hostname == "127.0.0.1"

    def test_works_on_ipv6(self) -> None:
        found = Server()
        try:
            with serving(found.source, "::1", 0, found.said.append) as found.url:
                assert found.url.startswith("http://[::1]:")
                assert found.ask()[0] == 200
        except LedgerError as error:
            pytest.skip(f"no IPv6 here: {error}")

    def test_goes_on_when_clients_misbehave(self, server: Server) -> None:
        place = (LOOPBACK, urlsplit(server.url).port or 0)
        for sent in (b"", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET /metrics HTTP/1.1\r\n"):
            with socket.create_connection(place) as client:
                client.sendall(sent)
        assert server.ask()[0] == 200
        assert server.said == []

    def test_hangs_up_on_more_clients_than_it_has_room_for(self, server: Server) -> None:
        place = (LOOPBACK, urlsplit(server.url).port or 0)
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(place, PATIENCE_S))
                for _ in range(MOST_CONNECTIONS + 1)
            ]
            assert clients[-1].recv(1) == b""
            clients[0].sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert clients[0].recv(12) == b"HTTP/1.1 200"
            while clients[0].recv(1000):
                pass
        for _ in range(2 * MOST_CONNECTIONS):  # room is given back
            with suppress(OSError):
                if server.ask("/-/healthy")[0] == 200:
                    break
        else:
            pytest.fail("it lets nobody in any more")

    def test_ends_while_somebody_waits(self) -> None:
        began, goes_on = threading.Event(), threading.Event()

        def make() -> list[Family]:
            began.set()
            goes_on.wait(PATIENCE_S)
            return [ROWS]

        server = Server()
        with serving(Source(make, print), LOOPBACK, 0, print) as server.url:
            waiting = threading.Thread(target=server.ask)
            waiting.start()
            assert began.wait(PATIENCE_S)
        assert not goes_on.is_set()
        goes_on.set()
        waiting.join()


@contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class TestServe:
    @pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
    def test_ends_well_when_told_to(self, ending: signal.Signals) -> None:
        with started(SERVE) as process:
            assert process.stdout
            told = process.stdout.readline()
            url = told.removeprefix("Metrics are at ").split(" ")[0].removesuffix("/metrics.")
            server = Server()
            server.url = url
            assert server.ask()[0] == 200
            process.send_signal(ending)
            rest, _ = process.communicate(timeout=PATIENCE_S)
        assert (rest, process.returncode) == ("ended\n", 0)

    def test_warns_where_everybody_may_read(self) -> None:
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            if len(said) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        serve(Source(list, say), "0.0.0.0", free_port(), say)  # noqa: S104
        assert said[1].startswith("WARN  Everybody who can reach this address can read them")

    def test_leaves_signals_as_they_were(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        serve(Source(list, print), LOOPBACK, 0, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is before
