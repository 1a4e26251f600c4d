from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

from tap_sentry import demo as faults
from tap_sentry.demo import DemoSentry, RateLimit, serve
from tests.unit.demo.client import HOST, ORGANIZATION, PROJECT, Client, frozen_world

PATHS = (
    "",
    "organizations/",
    f"{ORGANIZATION}issues/?query=&project=-1&limit=5",
    f"{ORGANIZATION}events/?dataset=spans&field=id&field=trace&project=-1&per_page=9",
    f"{ORGANIZATION}releases/storefront%408.52.1%20hotfix%232/",
    f"{PROJECT}web-shop/",
    f"{PROJECT}payments/events/?full=true&cursor=0:10:0",
    f"{ORGANIZATION}issues/?limit=nine",
    f"{PROJECT}nobody/",
)


@pytest.fixture
def served() -> Iterator[Client]:
    demo = DemoSentry(frozen_world(), limits=None, limit_clock=lambda: 1_795_000_000.0)
    with serve(demo) as url:
        client = Client(demo, host=url)
        yield client
        client.session.close()


class TestBothTransports:
    @pytest.mark.parametrize("path", PATHS)
    def test_give_the_same_answer(self, served: Client, path: str) -> None:
        inside = Client(served.demo).get(path)
        outside = served.get(path)
        assert outside.status_code == inside.status_code
        assert outside.text.replace(served.host, HOST) == inside.text
        ours = {k: v.replace(served.host, HOST) for k, v in outside.headers.items()}
        theirs = dict(inside.headers)
        del ours["Content-Length"], theirs["Content-Length"]  # the address is in some bodies
        assert ours == theirs

    def test_check_tokens(self) -> None:
        demo = DemoSentry(frozen_world(), limits=None, tokens={"good": ("org:read",)})
        with serve(demo) as url:
            for host in (HOST, url):
                for token, status in (("good", 200), ("bad", 401), ("", 401)):
                    client = Client(demo, host, token)
                    assert client.get(f"{ORGANIZATION}projects/").status_code == status
                    client.session.close()

    def test_answer_many_threads(self, served: Client) -> None:
        for client in (served, Client(served.demo)):
            with ThreadPoolExecutor(8) as pool:
                paths = [PATHS[2], PATHS[3]] * 8
                answers = list(pool.map(lambda path, c=client: c.get(path).json(), paths))
            assert answers[::2] == [answers[0]] * 8
            assert answers[1::2] == [answers[1]] * 8


class TestServer:
    def test_keeps_a_connection_for_many_requests(self, served: Client) -> None:
        connection = HTTPConnection(urlsplit(served.host).netloc, timeout=5)
        connection.connect()
        opened = connection.sock
        for _ in range(3):
            connection.request("GET", "/api/0/")
            assert json.loads(connection.getresponse().read())["version"] == "0"
            assert connection.sock is opened
        connection.close()

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (faults.ConnectionReset(), requests.exceptions.ConnectionError),
            (faults.CutBody(), requests.exceptions.ChunkedEncodingError),
            (faults.CutBody(how="json"), requests.exceptions.JSONDecodeError),
            (faults.StallForever(), requests.exceptions.ReadTimeout),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_makes_real_trouble(
        self, fault: faults.Fault, error: type[requests.exceptions.RequestException]
    ) -> None:
        demo = DemoSentry(frozen_world(), limits=None, faults=[fault])
        with serve(demo) as url, requests.Session() as session:
            with pytest.raises(error):
                session.get(f"{url}/api/0/{ORGANIZATION}teams/", timeout=0.3).json()
            answer = session.get(f"{url}/api/0/{ORGANIZATION}teams/", timeout=5)
            assert answer.status_code == 200

    def test_refuses_to_write_and_goes_on(self, served: Client) -> None:
        url = f"{served.host}/api/0/{ORGANIZATION}issues/"
        assert served.session.post(url, json={"a": 1}, timeout=5).status_code == 405
        assert served.get(f"{ORGANIZATION}issues/").status_code == 200


class TestConcurrency:
    def test_counts_requests_until_they_are_answered(self) -> None:
        started, go_on = threading.Event(), threading.Event()

        def wait(_: float) -> None:
            started.set()
            go_on.wait(5)

        demo = DemoSentry(
            frozen_world(),
            limits={"project_events": RateLimit(60, 60, 1)},
            latency_s=0.01,
            sleep=wait,
        )
        path = f"{PROJECT}payments/events/"
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(Client(demo).get, path)
            started.wait(5)
            demo.latency_s = 0.0
            refused = Client(demo).get(path)
            go_on.set()
            assert first.result().status_code == 200
        assert refused.status_code == 429
        assert refused.headers["X-Sentry-Rate-Limit-Remaining"] != "0"
        assert "concurrency" in refused.text
