from __future__ import annotations

import itertools
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from tap_sentry.answers import Answer
from tap_sentry.client import Retry, SentryClient
from tap_sentry.errors import (
    AuthError,
    NotAvailable,
    QueryTimeout,
    RateLimited,
    SentryError,
    SentryUnavailable,
    UnexpectedAnswer,
)
from tests.scripted import API, BEARER, Clock, Reply, Scripted, Step, client, link, settings

PATH = "/organizations/acme/projects/"
ROWS = [{"id": "1"}, {"id": "2"}]
TOO_FREQUENT = "You are attempting to use this endpoint too frequently. Limit is 60 requests"
LIMITS = {
    "X-Sentry-Rate-Limit-Limit": "60",
    "X-Sentry-Rate-Limit-Remaining": "0",
    "X-Sentry-Rate-Limit-Reset": "1790000060",
    "X-Sentry-Rate-Limit-ConcurrentLimit": "25",
    "X-Sentry-Rate-Limit-ConcurrentRemaining": "24",
}
SNUBA = dict.fromkeys(LIMITS, "None")


def failing(transport: Scripted, clock: Clock | None = None) -> SentryError:
    """What the client raises."""
    with pytest.raises(SentryError) as raised:
        client(transport, clock=clock).get(PATH)
    return raised.value


def failing_later(*steps: Step, clock: Clock | None = None) -> tuple[SentryError, int]:
    """What the client raises after Sentry has answered once, and how many tries it took."""
    transport = Scripted(Reply(200, ROWS), *steps)
    sentry = client(transport, clock=clock)
    sentry.get(PATH)
    with pytest.raises(SentryError) as raised:
        sentry.get(PATH)
    return raised.value, len(transport.requests) - 1


class TestRequest:
    def test_goes_to_the_api_with_the_token(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        client(transport).get(PATH)
        assert transport.urls == [f"{API}{PATH}"]
        assert transport.requests[0].headers["Authorization"] == f"Bearer {BEARER}"

    def test_keeps_the_path_prefix_of_a_self_hosted_sentry(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        given = settings(base_url="https://example.com/sentry/")
        client(transport, given=given).get(PATH)
        assert transport.urls == [f"https://example.com/sentry/api/0{PATH}"]

    def test_repeats_parameters_and_keeps_empty_ones(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        params = [("project", "1"), ("project", "2"), ("query", ""), ("sort", "-timestamp")]
        client(transport).get(PATH, params)
        assert transport.params(0) == params

    def test_keeps_an_encoded_version_encoded(self) -> None:
        transport = Scripted(Reply(200, {"version": "a@1+b/c"}))
        client(transport).get("/organizations/acme/releases/a%401%2Bb%2Fc%20%23/")
        assert transport.urls[0].endswith("/releases/a%401%2Bb%2Fc%20%23/")

    def test_takes_no_longer_than_the_setting_says(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        client(transport, given=settings(request_timeout_seconds=7)).get(PATH)
        assert transport.timeouts == [7]

    def test_has_no_token_for_the_demo(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        given = settings(base_url="https://demo.invalid", api_token=None)
        client(transport, given=given).get(PATH)
        assert "Authorization" not in transport.requests[0].headers

    def test_is_counted_by_endpoint(self) -> None:
        sentry = client(Scripted(Reply(502), Reply(200, ROWS)))
        sentry.get(PATH)
        sentry.get("/organizations/acme/issues/")
        assert sentry.requests == {"default": 2, "issues": 1}
        assert sentry.retries == {"default": 1}


class TestToken:
    @pytest.fixture
    def netrc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Passwords for the very hosts that are asked."""
        hosts = ("sentry.example.com", "foreign.example", "127.0.0.1")
        lines = "".join(f"machine {host} login me password other\n" for host in hosts)
        (tmp_path / "netrc").write_text(lines)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    @pytest.mark.usefixtures("netrc")
    def test_is_sent_although_netrc_knows_a_password(self) -> None:
        transport = Scripted(Reply(200, ROWS))
        client(transport).get(PATH)
        assert transport.requests[0].headers["Authorization"] == f"Bearer {BEARER}"

    @pytest.mark.usefixtures("netrc")
    def test_is_sent_after_a_redirect_although_netrc_knows_a_password(self) -> None:
        moved = Reply(302, {"detail": {}}, {"Location": f"{API}/organizations/new/projects/"})
        transport = Scripted(moved, Reply(200, ROWS))
        assert client(transport).get(PATH).rows == ROWS
        assert transport.requests[1].headers["Authorization"] == f"Bearer {BEARER}"

    @pytest.mark.parametrize(
        "location", ["https://foreign.example/api/0/", f"http{API.removeprefix('https')}/"]
    )
    def test_is_not_sent_to_where_a_redirect_leads_away(self, location: str) -> None:
        transport = Scripted(Reply(302, "", {"Location": location}), Reply(200, ROWS))
        client(transport).get(PATH)
        assert transport.urls[1].startswith(location)
        assert "Authorization" not in transport.requests[1].headers

    @pytest.mark.parametrize(
        "step",
        [
            Reply(200, ROWS, link()),
            Reply(400, {"detail": "Invalid cursor parameter."}),
            Reply(401, {"detail": "Invalid token"}),
            Reply(403, {"detail": "You do not have permission to perform this action."}),
            Reply(429, TOO_FREQUENT, LIMITS),
            Reply(500, {"detail": "Internal Error"}),
            requests.ConnectionError(f"Bearer {BEARER}"),
            requests.exceptions.InvalidHeader(f"Invalid header value: 'Bearer {BEARER}'"),
        ],
        ids=repr,
    )
    def test_is_in_no_log_line_and_no_error(
        self, step: Step, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        told = []
        try:
            client(Scripted(step)).get(PATH)
        except SentryError:
            told.append(traceback.format_exc())
        assert BEARER not in f"{caplog.text} {told}"

    def test_is_in_no_log_line_of_urllib3(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers["Authorization"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            network = HTTPAdapter()
            given = settings(base_url=f"http://127.0.0.1:{server.server_port}")
            sentry = SentryClient(given, transport=network)
            assert sentry.get(PATH, [("query", "a")]).rows == []
            network.close()
            server.shutdown()
            thread.join()
        assert seen == [f"Bearer {BEARER}"]
        assert "urllib3" in caplog.text
        assert BEARER not in caplog.text


class TestStatus:
    def test_401_stops_and_says_what_to_create(self) -> None:
        transport = Scripted(Reply(401, {"detail": {"code": "sso-required"}}))
        error = failing(transport)
        assert isinstance(error, AuthError)
        assert f"GET {PATH} answered 401" in str(error)
        assert "org:read" in str(error)
        assert "TAP_SENTRY_API_TOKEN" in str(error)
        assert len(transport.requests) == 1

    @pytest.mark.parametrize("status", [403, 404, 410])
    @pytest.mark.parametrize("body", ["", {"detail": "no"}, {"message": "no"}, "<html>", "[]"])
    def test_of_what_is_not_there_is_not_asked_again(self, status: int, body: Any) -> None:
        transport = Scripted(Reply(status, body))
        error = failing(transport)
        assert isinstance(error, NotAvailable)
        assert f"GET {PATH} answered {status}: " in str(error)
        assert len(transport.requests) == 1

    def test_410_names_the_endpoint_that_follows(self) -> None:
        headers = {"X-Sentry-Replacement-Endpoint": "/organizations/acme/workflows/"}
        assert "workflows" in str(failing(Scripted(Reply(410, {}, headers))))

    @pytest.mark.parametrize(
        "detail",
        ["Query timeout. Please try a smaller range.", "TIMED OUT", "Memory limit exceeded"],
    )
    def test_400_of_the_query_engine_asks_for_less(self, detail: str) -> None:
        transport = Scripted(Reply(400, {"detail": detail}))
        assert isinstance(failing(transport), QueryTimeout)
        assert len(transport.requests) == 1

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"detail": "Invalid cursor parameter."}, "Invalid cursor parameter."),
            ({"detail": "x" * 5000}, "x" * 100),
            ({"detail": {"code": "odd"}}, "no reason given"),
            ({"field": ["wrong"]}, "no reason given"),
            (["wrong"], "no reason given"),
            ("", "no reason given"),
            ("<html>", "no reason given"),
            ('"text"', "no reason given"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_400_otherwise_stops_with_sentrys_reason(self, body: Any, said: str) -> None:
        transport = Scripted(Reply(400, body))
        error = failing(transport)
        assert isinstance(error, UnexpectedAnswer)
        assert said in str(error)
        assert len(str(error)) < 400
        assert len(transport.requests) == 1

    @pytest.mark.parametrize("status", [201, 204, 304, 405, 409, 418])
    def test_that_nothing_explains_stops(self, status: int) -> None:
        assert isinstance(failing(Scripted(Reply(status, ROWS))), UnexpectedAnswer)

    def test_302_is_followed(self) -> None:
        moved = Reply(302, "", {"Location": f"{API}/organizations/new/projects/"})
        assert client(Scripted(moved, Reply(200, ROWS))).get(PATH).rows == ROWS


BROKEN: list[Step] = [
    Reply(500, {"detail": "Internal Error", "errorId": "1"}),
    Reply(502, "<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    Reply(503, ""),
    Reply(504, "<html>", {"Retry-After": "1"}),
    Reply(200, '[{"id": "1"}, {"id"', {"Content-Type": "application/json"}),
    Reply(200, '[{"id": "1"}, {"id"', {"X-Test-Cut": "1"}),
    Reply(200, "", {"Content-Type": "application/json"}),
    Reply(200, b"\xff\xfe\xfd"),
    requests.ConnectionError("Connection refused"),
    requests.ConnectTimeout("slow"),
    requests.ReadTimeout("slower"),
    requests.exceptions.SSLError("certificate"),
    requests.exceptions.ProxyError("proxy"),
]


class TestTroubleOnTheWay:
    @pytest.mark.parametrize("step", BROKEN, ids=lambda step: repr(step)[:40])
    def test_is_waited_out(self, step: Step) -> None:
        transport = Scripted(step, step, Reply(200, ROWS))
        assert client(transport).get(PATH).rows == ROWS
        assert len(transport.requests) == 3

    @pytest.mark.parametrize("step", BROKEN, ids=lambda step: repr(step)[:40])
    def test_that_stays_is_raised_after_a_few_tries(self, step: Step) -> None:
        clock = Clock()
        error, tries = failing_later(step, clock=clock)
        assert isinstance(error, SentryUnavailable)
        assert f"GET {PATH} " in str(error)
        assert tries == 8
        assert 60 < sum(clock.slept) < 130

    def test_is_asked_about_less_and_less_often(self) -> None:
        clock = Clock()
        failing_later(Reply(500), clock=clock)
        waits = [seconds for seconds in clock.slept if seconds >= 0.5]
        assert len(waits) == 7
        for number, seconds in enumerate(waits):
            assert 0.5 * min(2**number, 60) <= seconds <= min(2**number, 60)

    def test_raises_what_came_last(self) -> None:
        steps = [Reply(500)] * 7 + [Reply(503)]
        assert "503" in str(failing_later(*steps)[0])

    def test_of_an_address_that_never_answered_is_raised_sooner(self) -> None:
        transport = Scripted(requests.ConnectionError("Connection refused"))
        assert isinstance(failing(transport), SentryUnavailable)
        assert len(transport.requests) == 4

    @pytest.mark.parametrize("step", [Reply(500), Reply(502, "<html>"), Reply(200, "[{")])
    def test_that_meets_the_first_request_is_an_answer_too(self, step: Step) -> None:
        transport = Scripted(step)
        assert isinstance(failing(transport), SentryUnavailable)
        assert len(transport.requests) == 8

    def test_may_end_in_a_plain_refusal(self) -> None:
        transport = Scripted(Reply(500), Reply(403))
        assert isinstance(failing(transport), NotAvailable)
        assert len(transport.requests) == 2

    def test_names_the_host_but_not_the_query(self) -> None:
        sentry = client(Scripted(requests.ConnectionError("x")))
        with pytest.raises(SentryUnavailable, match=r"is sentry\.example\.com reachable") as raised:
            sentry.get(PATH, [("query", "user.email:jane@example.com")])
        assert "jane" not in str(raised.value)

    def test_mixed_with_429_still_ends(self) -> None:
        steps: list[Step] = [Reply(500), Reply(429, TOO_FREQUENT)]
        endless = itertools.cycle(steps)
        transport = Scripted(lambda _: next(endless))
        failing(transport)
        assert len(transport.requests) <= 200


class TestTooManyRequests:
    def test_are_waited_out_until_the_window_resets(self) -> None:
        clock = Clock(1_790_000_000.25)
        transport = Scripted(Reply(429, TOO_FREQUENT, LIMITS), Reply(200, ROWS))
        assert client(transport, clock=clock).get(PATH).rows == ROWS
        assert 60 <= clock.now - 1_790_000_000 <= 61

    def test_wait_for_as_long_as_a_proxy_says(self) -> None:
        clock = Clock()
        began = clock.now
        transport = Scripted(Reply(429, "", {"Retry-After": "17"}), Reply(200, ROWS))
        client(transport, clock=clock).get(PATH)
        assert clock.now - began == pytest.approx(17, abs=0.1)

    @pytest.mark.parametrize(
        "headers",
        [
            SNUBA,
            {},
            {"Retry-After": "Fri, 20 Nov 2026 14:00:00 GMT"},
            {"Retry-After": "²"},
            {**SNUBA, "X-Sentry-Rate-Limit-Remaining": "0"},
        ],
    )
    def test_of_the_query_engine_wait_a_few_seconds(self, headers: dict[str, str]) -> None:
        clock = Clock()
        began = clock.now
        body = {"detail": "Rate limit exceeded. Please try your query with a smaller date range"}
        client(Scripted(Reply(429, body, headers), Reply(200, ROWS)), clock=clock).get(PATH)
        assert 1 <= clock.now - began <= 30

    def test_at_once_wait_a_moment(self) -> None:
        headers = {
            **LIMITS,
            "X-Sentry-Rate-Limit-Remaining": "12",
            "X-Sentry-Rate-Limit-ConcurrentRemaining": "0",
        }
        clock = Clock()
        began = clock.now
        transport = Scripted(Reply(429, TOO_FREQUENT, headers), Reply(200, ROWS))
        client(transport, clock=clock).get(PATH)
        assert 0.5 <= clock.now - began <= 5

    @pytest.mark.parametrize("headers", [LIMITS, SNUBA, {}])
    def test_for_ever_are_raised_in_the_end(self, headers: dict[str, str]) -> None:
        transport = Scripted(Reply(429, TOO_FREQUENT, headers))
        assert isinstance(failing(transport), RateLimited)
        assert len(transport.requests) == 20

    def test_hold_back_the_same_endpoint_only(self) -> None:
        clock = Clock()
        began = clock.now

        def answer(request: PreparedRequest) -> Step:
            return Reply(429, TOO_FREQUENT) if "issues" in str(request.url) else Reply(200, ROWS)

        sentry = client(Scripted(answer), clock=clock)
        with pytest.raises(RateLimited):
            sentry.get("/organizations/acme/issues/")
        waited = clock.now
        sentry.get(PATH)
        assert clock.now - waited < 0.1
        assert waited > began


def retries_of(*steps: Step, clock: Clock | None = None) -> list[Retry]:
    """What the client tells of its retries until it has its rows."""
    sentry = client(Scripted(*steps, Reply(200, ROWS)), clock=clock)
    told: list[Retry] = []
    sentry.on_retry = told.append
    assert sentry.get(PATH, [("query", "jane@example.com")]).rows == ROWS
    return told


class TestRetry:
    @pytest.mark.parametrize(
        ("step", "reason"),
        [
            (Reply(429, TOO_FREQUENT, LIMITS), "429"),
            (Reply(503), "503"),
            (Reply(200, "[{"), "broken body"),
            (requests.ConnectionError(f"Bearer {BEARER}"), "no answer (ConnectionError)"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_tells_what_is_asked_again_and_why(self, step: Step, reason: str) -> None:
        (retry,) = retries_of(step)
        assert retry._replace(wait_s=0) == Retry("default", reason, PATH, 2, 0)

    def test_is_told_once_for_each_try_that_follows(self) -> None:
        told = retries_of(Reply(502), Reply(502), Reply(502))
        assert [retry.attempt for retry in told] == [2, 3, 4]

    def test_is_told_before_the_wait(self) -> None:
        clock = Clock()
        sentry = client(Scripted(Reply(502), Reply(200, ROWS)), clock=clock)
        slept: list[int] = []
        sentry.on_retry = lambda _: slept.append(len(clock.slept))
        sentry.get(PATH)
        assert slept == [0]

    def test_is_not_told_where_none_follows(self) -> None:
        sentry = client(Scripted(Reply(200, ROWS), Reply(503)))
        told: list[Retry] = []
        sentry.on_retry = told.append
        sentry.get(PATH)
        with pytest.raises(SentryUnavailable):
            sentry.get(PATH)
        assert [retry.attempt for retry in told] == [2, 3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize(
        "step",
        [
            Reply(502),
            Reply(504, "", {"Retry-After": "17"}),
            Reply(429, TOO_FREQUENT, LIMITS),
            Reply(429, "", SNUBA),
            Reply(429, "", {"Retry-After": "17"}),
        ],
        ids=repr,
    )
    def test_tells_the_seconds_that_pass_until_it_leaves(self, step: Step) -> None:
        clock = Clock()
        began = clock.now
        (retry,) = retries_of(step, clock=clock)
        assert retry.wait_s >= 0.5
        assert retry.wait_s == pytest.approx(clock.now - began, abs=0.01)

    def test_tells_no_wait_where_the_window_is_over_by_now(self) -> None:
        over = {**LIMITS, "X-Sentry-Rate-Limit-Reset": "1789999990"}
        (retry,) = retries_of(Reply(429, TOO_FREQUENT, over))
        assert retry.wait_s == 0

    def test_tells_the_wait_although_others_are_under_way(self) -> None:
        ready, refused = Reply(200, ROWS), Reply(429, TOO_FREQUENT, LIMITS)
        sentry = client(Scripted(ready, ready, refused, ready))
        for _ in range(2):  # until two may be under way
            sentry.get(PATH)
        told: list[Retry] = []
        is_told = threading.Event()

        def tell(retry: Retry) -> None:
            told.append(retry)
            is_told.set()

        sentry.on_retry = tell
        asking = threading.Thread(target=sentry.get, args=(PATH,), daemon=True)
        with sentry.limiter.slot("default"):
            asking.start()
            assert is_told.wait(20)
        asking.join(20)
        assert [59 <= retry.wait_s <= 61 for retry in told] == [True]


class TestBody:
    def test_that_is_a_list_is_its_rows(self) -> None:
        answer = client(Scripted(Reply(200, ROWS, {"X-Hits": "2"}))).get(PATH)
        assert (answer.rows, answer.body) == (ROWS, ROWS)
        assert answer.headers["x-hits"] == "2"

    def test_with_a_list_of_data_is_its_rows(self) -> None:
        body = {"data": ROWS, "meta": {"dataScanned": "full"}}
        answer = client(Scripted(Reply(200, body))).get(PATH)
        assert (answer.rows, answer.body) == (ROWS, body)

    @pytest.mark.parametrize("data", [{"a": 1}, {}, None])
    def test_of_a_release_whose_data_is_an_object_is_one_row(self, data: Any) -> None:
        body = {"version": "1.0", "data": data}
        assert client(Scripted(Reply(200, body))).get(PATH).rows == [body]

    def test_without_rows_is_empty(self) -> None:
        assert client(Scripted(Reply(200, []))).get(PATH).rows == []

    @pytest.mark.parametrize("body", ['"text"', "17", "null", "[1, 2]", '[{"id": 1}, null]'])
    def test_without_objects_stops(self, body: str) -> None:
        assert isinstance(failing(Scripted(Reply(200, body))), UnexpectedAnswer)

    @pytest.mark.parametrize("body", [[], ROWS, {"data": []}, '[{"name": "ä"}]'])
    def test_tells_its_length_in_bytes(self, body: Any) -> None:
        reply = Reply(200, body)
        assert client(Scripted(reply)).get(PATH).size == len(reply.content)

    def test_that_is_a_web_page_means_no_api_path(self) -> None:
        page = Reply(200, "<html>", {"Content-Type": "text/html; charset=utf-8"})
        error = failing(Scripted(page))
        assert isinstance(error, NotAvailable)
        assert "web page" in str(error)

    def test_with_half_a_character_can_still_be_written(self) -> None:
        # SDKs cut texts inside a pair of UTF-16 units; no JSON writer takes the half that is left.
        row = client(Scripted(Reply(200, r'[{"title": "\ud83d"}]'))).get(PATH).rows[0]
        row["title"].encode()


def pages(transport: Scripted, params: list[tuple[str, str]] | None = None) -> list[Answer]:
    return list(client(transport).pages(PATH, params or []))


class TestPages:
    def test_follow_the_cursor_until_results_are_false(self) -> None:
        transport = Scripted(
            Reply(200, ROWS[:1], link("0:1:0")),
            Reply(200, ROWS[1:], link("0:2:0")),
            Reply(200, [], link("0:3:0", results="false")),
        )
        assert [page.rows for page in pages(transport)] == [ROWS[:1], ROWS[1:], []]
        assert [dict(transport.params(n)).get("cursor") for n in range(3)] == [
            None,
            "0:1:0",
            "0:2:0",
        ]

    def test_end_without_a_link(self) -> None:
        assert len(pages(Scripted(Reply(200, ROWS)))) == 1

    @pytest.mark.parametrize("header", ["", "nonsense", "<", '<x>; rel="previous"', ",,;;"])
    def test_end_where_the_link_names_no_next_page(self, header: str) -> None:
        assert len(pages(Scripted(Reply(200, ROWS, {"Link": header})))) == 1

    def test_that_are_short_or_empty_are_not_the_last(self) -> None:
        transport = Scripted(
            Reply(200, [], link("0:1:0")),
            Reply(200, ROWS[:1], link("0:2:0")),
            Reply(200, [], link("0:3:0")),
            Reply(200, ROWS, link("0:4:0", results="false")),
        )
        assert sum(len(page.rows) for page in pages(transport)) == 3

    def test_keep_all_parameters(self) -> None:
        params = [("project", "1"), ("project", "2"), ("query", ""), ("per_page", "100")]
        transport = Scripted(Reply(200, ROWS, link("1:2:0")), Reply(200, ROWS))
        pages(transport, params)
        assert transport.params(1) == [*params, ("cursor", "1:2:0")]

    def test_ask_the_host_of_the_settings_whatever_the_link_says(self) -> None:
        foreign = {key: value.replace("sentry.", "other.") for key, value in link().items()}
        transport = Scripted(Reply(200, ROWS, foreign), Reply(200, ROWS))
        pages(transport)
        assert {urlsplit(url).netloc for url in transport.urls} == {"sentry.example.com"}

    @pytest.mark.parametrize("cursor", ["1700000000000:0:0", "opaque", "cD0yMDI2LTEwLTAx==", "a,b"])
    def test_take_a_cursor_of_any_form(self, cursor: str) -> None:
        # Page tokens are opaque, and those of GlitchTip end in `=`.
        transport = Scripted(Reply(200, ROWS, link(cursor)), Reply(200, ROWS))
        assert len(pages(transport)) == 2
        assert dict(transport.params(1))["cursor"] == cursor

    def test_that_go_on_without_a_cursor_stop_the_run(self) -> None:
        header = f'<{API}/x/>; rel="next"; results="true"'
        with pytest.raises(UnexpectedAnswer, match=r"(?i)cursor"):
            pages(Scripted(Reply(200, ROWS, {"Link": header})))

    @pytest.mark.parametrize("cycle", [1, 3])
    def test_whose_cursor_repeats_stop_the_run(self, cycle: int) -> None:
        count = itertools.count()
        transport = Scripted(lambda _: Reply(200, ROWS, link(f"0:{next(count) % cycle}:0")))
        with pytest.raises(UnexpectedAnswer, match="twice"):
            pages(transport)
        assert len(transport.requests) == cycle + 1

    def test_are_asked_for_one_by_one(self) -> None:
        transport = Scripted(Reply(200, ROWS, link("0:1:0")), Reply(200, ROWS))
        listing = client(transport).pages(PATH)
        assert not transport.requests
        next(listing)
        assert len(transport.requests) == 1

    def test_are_tried_again_where_one_fails(self) -> None:
        transport = Scripted(Reply(200, ROWS, link("0:1:0")), Reply(502), Reply(200, ROWS))
        assert len(pages(transport)) == 2
        assert dict(transport.params(2))["cursor"] == "0:1:0"


class TestThreads:
    def test_may_ask_all_at_once(self) -> None:
        lock, tries = threading.Lock(), Counter[str]()

        def answer(request: PreparedRequest) -> Step:
            url = urlsplit(str(request.url))
            number = dict(parse_qsl(url.query))["n"]
            with lock:
                tries[number] += 1
                is_first = tries[number] == 1
            if is_first and int(number) % 7 == 0:
                return Reply(503)
            if is_first and int(number) % 5 == 0:
                return Reply(429, TOO_FREQUENT)
            return Reply(200, [{"n": number}])

        sentry = client(Scripted(answer))
        found: list[tuple[str, str]] = []

        def work(thread: int) -> Callable[[], None]:
            def ask() -> None:
                for number in range(thread * 20, thread * 20 + 20):
                    row = sentry.get(PATH, [("n", str(number))]).rows[0]
                    found.append((str(number), row["n"]))

            return ask

        threads = [threading.Thread(target=work(number), daemon=True) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(found) == 200
        assert all(asked == answered for asked, answered in found)
        assert sentry.requests.total() == tries.total()
        assert sentry.retries.total() == tries.total() - 200
