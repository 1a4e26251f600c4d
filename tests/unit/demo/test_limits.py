from __future__ import annotations

import json

import pytest

from tap_sentry.demo import SENTRY_LIMITS, DemoSentry, RateLimit
from tap_sentry.demo.limits import Limiter
from tests.unit.demo.client import NOW, ORGANIZATION, PROJECT, Client, frozen_world


class Seconds:
    """Epoch seconds that a test moves."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def limiter(seconds: Seconds) -> Limiter:
    return Limiter({"slow": RateLimit(2, 60, 1)}, seconds)


class TestWindow:
    def test_lets_pass_what_is_allowed_and_no_more(self, limiter: Limiter) -> None:
        for _ in range(2):
            assert limiter.enter("me", "slow")[1] is None
            limiter.leave("me", "slow")
        headers, refusal = limiter.enter("me", "slow")
        assert refusal is not None
        assert refusal.status == 429
        assert json.loads(refusal.content()) == (
            "You are attempting to use this endpoint too frequently. "
            "Limit is 2 requests in 60 seconds"
        )
        assert "json" not in refusal.content_type
        assert headers["X-Sentry-Rate-Limit-Remaining"] == "0"

    def test_ends_with_the_minute_of_the_wall_clock(
        self, limiter: Limiter, seconds: Seconds
    ) -> None:
        seconds.now += 59
        for _ in range(2):
            limiter.enter("me", "slow")
            limiter.leave("me", "slow")
        headers, refusal = limiter.enter("me", "slow")
        assert refusal is not None
        assert headers["X-Sentry-Rate-Limit-Reset"] == str(int(NOW.timestamp()) + 60)
        seconds.now += 1
        assert limiter.enter("me", "slow")[1] is None

    def test_is_one_per_caller_and_view(self, limiter: Limiter) -> None:
        for caller, view in (("me", "slow"), ("you", "slow"), ("me", "default")):
            headers, refusal = limiter.enter(caller, view)
            assert refusal is None
            limit = int(headers["X-Sentry-Rate-Limit-Limit"])
            assert headers["X-Sentry-Rate-Limit-Remaining"] == str(limit - 1)

    def test_is_shared_by_views_without_one_of_their_own(self, limiter: Limiter) -> None:
        limiter.enter("me", "teams")
        headers, _ = limiter.enter("me", "members")
        assert headers["X-Sentry-Rate-Limit-Remaining"] == "38"


class TestConcurrency:
    def test_refuses_while_others_are_in_flight(self, limiter: Limiter) -> None:
        limiter.enter("me", "slow")
        headers, refusal = limiter.enter("me", "slow")
        assert refusal is not None
        assert headers["X-Sentry-Rate-Limit-ConcurrentRemaining"] == "0"

    def test_lets_pass_when_they_are_answered(self, limiter: Limiter, seconds: Seconds) -> None:
        limiter.enter("me", "slow")
        limiter.leave("me", "slow")
        seconds.now += 60
        assert limiter.enter("me", "slow")[1] is None

    def test_shows_requests_left_when_it_refuses(self, seconds: Seconds) -> None:
        limiter = Limiter({"slow": RateLimit(9, 60, 1)}, seconds)
        limiter.enter("me", "slow")
        headers, refusal = limiter.enter("me", "slow")
        assert refusal is not None
        assert headers["X-Sentry-Rate-Limit-Remaining"] == "7"


class TestDemo:
    def test_sends_five_headers_with_every_answer(self, seconds: Seconds) -> None:
        client = Client(DemoSentry(frozen_world(), limit_clock=seconds))
        for path in (f"{ORGANIZATION}teams/", f"{ORGANIZATION}issues/1/", f"{PROJECT}x/events/"):
            headers = client.get(path).headers
            assert sum(name.startswith("X-Sentry-Rate-Limit-") for name in headers) == 5
            assert headers["Date"] == "Fri, 20 Nov 2026 12:00:00 GMT"

    def test_knows_the_limits_of_each_endpoint(self, seconds: Seconds) -> None:
        client = Client(DemoSentry(frozen_world(), limit_clock=seconds))
        limits = {
            path: client.get(path).headers["X-Sentry-Rate-Limit-Limit"]
            for path in (
                f"{PROJECT}payments/events/", f"{ORGANIZATION}events/", f"{ORGANIZATION}issues/",
                f"{ORGANIZATION}issues/7/", f"{ORGANIZATION}members/",
            )
        }  # fmt: skip
        assert list(limits.values()) == ["60", "30", "10", "5", "40"]

    def test_refuses_the_sixth_detail_in_a_second(self, seconds: Seconds) -> None:
        client = Client(DemoSentry(frozen_world(), limit_clock=seconds))
        found = [client.get(f"{ORGANIZATION}issues/7/").status_code for _ in range(6)]
        assert found == [404] * 5 + [429]
        seconds.now += 1
        assert client.get(f"{ORGANIZATION}issues/7/").status_code == 404

    def test_without_limits_says_nothing_of_them(self) -> None:
        headers = Client().get(f"{ORGANIZATION}teams/").headers
        assert not any("rate-limit" in name.lower() for name in headers)

    def test_takes_other_limits(self, seconds: Seconds) -> None:
        limits = {**SENTRY_LIMITS, "issues": RateLimit(1, 10)}
        client = Client(DemoSentry(frozen_world(), limits=limits, limit_clock=seconds))
        assert client.get(f"{ORGANIZATION}issues/").status_code == 200
        assert client.get(f"{ORGANIZATION}issues/").status_code == 429
