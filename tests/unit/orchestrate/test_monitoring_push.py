"""Metrics at a Pushgateway that this test plays."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.model import Family, Kind, Metric, Sample
from orchestrate.monitoring.push import PASSWORD, URL, USER, WORKER, delete, gateway, push
from tests.otlp import free_port

SECRET = "s3cret/ä:@"
ROWS = Family(
    Metric("stream_rows_total", "Rows that the tap wrote."),
    Kind.COUNTER,
    ("environment", "stream"),
    (Sample(("demo", "issues"), 120.0),),
)


class Request(NamedTuple):
    method: str
    path: str
    authorization: str | None
    body: str


class Receiver:
    """What arrived, and what is answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.environ: dict[str, str] = {}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.requests.append(
                Request(self.command, self.path, self.headers["Authorization"], body.decode())
            )
            found.goes_on.wait(20)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_DELETE = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        found.environ = {URL: f"http://127.0.0.1:{server.server_port}"}
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield found
        found.goes_on.set()
        server.shutdown()
        thread.join()


def told(receiver: Receiver, timeout_s: float = 10) -> str:
    """What is said of a push that fails, with user and password in place."""
    receiver.environ |= {USER: "ada", PASSWORD: SECRET}
    with pytest.raises(LedgerError) as failed:
        push([ROWS], gateway(receiver.environ), timeout_s)
    text = str(failed.value)
    assert "\n" not in text
    assert SECRET not in text
    assert text.startswith(f"Cannot push the metrics at {receiver.environ[URL]}: ")
    return text


class TestPush:
    def test_replaces_the_group_of_the_job_as_a_whole(self, receiver: Receiver) -> None:
        push([ROWS], gateway(receiver.environ))
        (request,) = receiver.requests
        assert (request.method, request.path) == ("PUT", "/metrics/job/tap-sentry")
        (family,) = text_string_to_metric_families(request.body)
        (sample,) = family.samples
        assert sample.name == "tap_sentry_stream_rows_total"
        assert (sample.labels, sample.value) == ({"environment": "demo", "stream": "issues"}, 120)

    def test_of_a_worker_with_a_name_replaces_its_own_group(self, receiver: Receiver) -> None:
        push([ROWS], gateway({**receiver.environ, WORKER: " eu/worker 1 "}))
        name, _, encoded = receiver.requests[0].path.rpartition("/")
        assert name == "/metrics/job/tap-sentry/instance@base64"
        assert base64.urlsafe_b64decode(encoded) == b"eu/worker 1"

    def test_knows_nobody_unless_told(self, receiver: Receiver) -> None:
        push([ROWS], gateway(receiver.environ))
        assert receiver.requests[0].authorization is None

    def test_shows_the_password_of_the_environment(self, receiver: Receiver) -> None:
        push([ROWS], gateway({**receiver.environ, USER: "ada", PASSWORD: SECRET}))
        expected = base64.b64encode(f"ada:{SECRET}".encode()).decode()
        assert receiver.requests[0].authorization == f"Basic {expected}"

    def test_shows_the_password_of_the_address(self, receiver: Receiver) -> None:
        url = receiver.environ[URL].replace("//", "//ada:s3cret%2F%C3%A4%3A%40@")
        push([ROWS], gateway({URL: url}))
        expected = base64.b64encode(f"ada:{SECRET}".encode()).decode()
        assert receiver.requests[0].authorization == f"Basic {expected}"

    def test_knows_a_gateway_below_a_path(self, receiver: Receiver) -> None:
        push([ROWS], gateway({URL: receiver.environ[URL] + "/push/"}))
        assert receiver.requests[0].path == "/push/metrics/job/tap-sentry"

    def test_deletes_the_same_group(self, receiver: Receiver) -> None:
        receiver.status = 202
        to = gateway({**receiver.environ, WORKER: "one"})
        push([ROWS], to)
        delete(to)
        pushed, deleted = receiver.requests
        assert (deleted.method, deleted.path, deleted.body) == ("DELETE", pushed.path, "")


class TestFailure:
    def test_to_be_let_in_names_the_variables(self, receiver: Receiver) -> None:
        receiver.status = 401
        assert told(receiver).endswith(f"it answered 401. Correct {USER} and {PASSWORD}.")

    def test_by_a_redirect_says_so_and_does_not_follow(self, receiver: Receiver) -> None:
        receiver.status, receiver.headers = 302, {"Location": "/elsewhere"}
        assert "it answered 302, it is somewhere else" in told(receiver)
        assert len(receiver.requests) == 1

    def test_by_a_refusal_tells_what_the_gateway_said(self, receiver: Receiver) -> None:
        receiver.status, receiver.body = 400, b"pushed metrics are\ninconsistent\n"
        receiver.headers = {"Content-Type": "text/plain; charset=utf-8"}
        assert "it answered 400 (pushed metrics are inconsistent). The next push" in told(receiver)

    def test_of_a_proxy_leaves_its_page_out(self, receiver: Receiver) -> None:
        receiver.status, receiver.body = 502, b"<html>"
        assert "it answered 502. The next push brings all." in told(receiver)

    def test_to_answer_ends_after_a_while(self, receiver: Receiver) -> None:
        receiver.goes_on.clear()
        assert "no answer (ReadTimeout). The next push brings all;" in told(receiver, 0.05)

    def test_to_be_there_is_one_clear_line(self, receiver: Receiver) -> None:
        receiver.environ[URL] = f"http://127.0.0.1:{free_port()}"
        assert "no answer (ConnectionError). The next push brings all;" in told(receiver)

    def test_to_delete_says_what_was_asked(self, receiver: Receiver) -> None:
        receiver.status = 500
        with pytest.raises(LedgerError, match=r"^Cannot delete .* it answered 500. Ask again\.$"):
            delete(gateway(receiver.environ))


class TestGateway:
    def test_without_an_address_says_what_to_set(self) -> None:
        with pytest.raises(LedgerError, match=f"{URL} is not set, such as http://"):
            gateway({})

    @pytest.mark.parametrize(
        "url",
        [
            "gateway:9091",
            "ftp://gateway",
            "http://",
            "http://ada:s3cret@gateway:x",
            "http://[ada:s3cret@",
            "ada:s3cret@gateway",
            "http://gateway?key=s3cret",
        ],
    )
    def test_with_an_address_that_is_none_does_not_show_it(self, url: str) -> None:
        with pytest.raises(LedgerError, match=f"{URL} is no address") as failed:
            gateway({URL: url})
        assert "s3cret" not in str(failed.value)

    def test_never_shows_the_password(self) -> None:
        found = gateway({URL: "https://ada:s3cret@gateway:9091/push", WORKER: "one"})
        assert "s3cret" not in f"{found} {found!r} {found.address}"
        assert found.address == "https://gateway:9091/push"

    @pytest.mark.parametrize("name", ["a..b", "a" * 70])
    def test_with_a_name_that_is_none_is_one_clear_line(self, name: str) -> None:
        with pytest.raises(LedgerError, match=r"^Cannot push the metrics at [^\n]*$"):
            push([], gateway({URL: f"http://{name}:1"}), 10)

    def test_takes_variables_that_are_no_utf_8(self, receiver: Receiver) -> None:
        environ = {**receiver.environ, WORKER: "\udcff", USER: "\udcff", PASSWORD: "x"}
        push([], gateway(environ))
        (asked,) = receiver.requests
        assert asked.path.endswith("/instance@base64/_w==")
        assert asked.authorization == "Basic /zp4"

    def test_may_have_an_ipv6_address(self) -> None:
        assert gateway({URL: "http://[::1]:9091"}).address == "http://[::1]:9091"
