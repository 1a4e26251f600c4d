from __future__ import annotations

import email.utils
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.gate import Slot
from tap_sentry.rate_limit import Quota, RateLimitAdapter, RateLimiter, family
from tests.scripted import API, Clock, Reply, Scripted

EPOCH = 1_790_000_000


def headers(
    *,
    limit: object = 40,
    remaining: object = 39,
    reset: object = EPOCH + 1,
    concurrent: object = 25,
    date: float | None = None,
) -> dict[str, str]:
    found = {
        "X-Sentry-Rate-Limit-Limit": str(limit),
        "X-Sentry-Rate-Limit-Remaining": str(remaining),
        "X-Sentry-Rate-Limit-Reset": str(reset),
        "X-Sentry-Rate-Limit-ConcurrentLimit": str(concurrent),
        "X-Sentry-Rate-Limit-ConcurrentRemaining": "1",
    }
    return found if date is None else {**found, "Date": email.utils.formatdate(date, usegmt=True)}


def learn(limiter: RateLimiter, family: str, said: dict[str, str]) -> None:
    """One request of a family, and what its answer says."""
    with limiter.slot(family) as slot:
        slot.learn(said)


class TestRate:
    @given(
        st.sampled_from([0.5, 1.0, 3.0, 7.5, 10.0, 40.0]),
        st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.1, 0.37, 1.0, 5.0]), max_size=60),
    )
    def test_is_never_exceeded(self, rate: float, pauses: list[float]) -> None:
        clock = Clock()
        limiter = RateLimiter(rate, clock=clock, sleep=clock.sleep)
        sent = []
        for pause in pauses:
            with limiter.slot("default"):
                sent.append(clock.now)
            clock.now += pause
        for first in sent:
            assert sum(first <= at < first + 1 - 1e-6 for at in sent) <= math.ceil(rate) + 1

    def test_is_that_of_all_families_together(self) -> None:
        clock = Clock()
        limiter = RateLimiter(5, clock=clock, sleep=clock.sleep)
        began = clock.now
        for number in range(51):
            with limiter.slot(f"family {number % 3}"):
                pass
        assert clock.now - began == pytest.approx(10, abs=0.3)

    def test_is_reached_evenly(self) -> None:
        clock = Clock()
        limiter = RateLimiter(20, clock=clock, sleep=clock.sleep)
        sent = []
        for _ in range(50):
            with limiter.slot("default"):
                sent.append(clock.now)
        gaps = [later - at for at, later in itertools.pairwise(sent[2:])]
        assert gaps == pytest.approx([0.05] * len(gaps))

    def test_is_not_lowered_by_sleeping_too_long(self) -> None:
        clock = Clock()
        limiter = RateLimiter(20, clock=clock, sleep=lambda seconds: clock.sleep(seconds + 0.03))
        began = clock.now
        for _ in range(200):
            with limiter.slot("default"):
                pass
        assert clock.now - began == pytest.approx(10, abs=0.2)


class TestConcurrency:
    def test_stays_within_the_limit_with_real_threads(self) -> None:
        limiter = RateLimiter(1e6)
        told = headers(limit=10_000, remaining=9_999, reset=EPOCH + 10**8, concurrent=3)
        learn(limiter, "default", told)
        in_flight, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal in_flight, most
            for _ in range(3):
                with limiter.slot("default") as slot:
                    slot.learn(told)
                    with lock:
                        in_flight += 1
                        most = max(most, in_flight)
                    time.sleep(0.003)
                    with lock:
                        in_flight -= 1

        run_together(work, threads=12)
        assert most == 3

    def test_over_all_families_stays_within_its_bound_with_real_threads(self) -> None:
        limiter = RateLimiter(1e6, max_in_flight=4)
        for name in ("default", "explore", "issues"):
            for _ in range(4):
                learn(limiter, name, {})
        in_flight, most, lock = 0, 0, threading.Lock()
        names = itertools.cycle(["default", "explore", "issues"])

        def work() -> None:
            nonlocal in_flight, most
            with lock:
                name = next(names)
            for _ in range(3):
                with limiter.slot(name) as slot:
                    slot.learn({})
                    with lock:
                        in_flight += 1
                        most = max(most, in_flight)
                    time.sleep(0.003)
                    with lock:
                        in_flight -= 1

        run_together(work, threads=30)
        assert most == 4


class TestHeaders:
    def test_of_a_429_a_minute_away_are_waited_for(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        with limiter.slot("project_events") as slot:
            slot.learn(headers(limit=60, remaining=0, reset=EPOCH + 60, date=EPOCH))
        with limiter.slot("project_events"):
            assert EPOCH + 60 <= clock.now <= EPOCH + 61
        assert limiter.waited_s["project_events"] == pytest.approx(60, abs=1)

    @pytest.mark.parametrize(
        "said",
        [
            {},
            headers(limit=None, remaining=None, reset=None, concurrent=None),
            headers(remaining=0, reset=None),
            headers(limit="", remaining="", reset=""),
            headers(limit=0, remaining=0),
            headers(limit=-1, remaining=-1, reset=-1, concurrent=-1),
            headers(limit="many", remaining=0, concurrent="few"),
            headers(limit=1.5, remaining=0),
            {"X-Sentry-Rate-Limit-Remaining": "0"},
            {"Date": "yesterday"},
            headers(limit="²", remaining="²"),
        ],
    )
    def test_that_say_nothing_limit_nothing(self, said: dict[str, str]) -> None:
        clock = Clock()
        limiter = RateLimiter(100, clock=clock, sleep=clock.sleep)
        began = clock.now
        for _ in range(50):
            with limiter.slot("default") as slot:
                slot.learn(said)
        assert clock.now - began < 0.6

    def test_that_say_nothing_forget_nothing(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(limit=2, remaining=1, reset=EPOCH + 60))
        with limiter.slot("default") as slot:
            slot.learn(headers(limit=None, remaining=None, reset=None))
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 60

    def test_with_a_date_that_cannot_be_read_are_taken_by_our_clock(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        said = {**headers(remaining=0, reset=EPOCH + 30), "Date": "soon"}
        learn(limiter, "default", said)
        with limiter.slot("default"):
            assert clock.now == pytest.approx(EPOCH + 30)

    def test_of_an_older_window_change_nothing(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(remaining=39, reset=EPOCH + 2))
        learn(limiter, "default", headers(remaining=0, reset=EPOCH + 1))
        with limiter.slot("default"):
            assert clock.now < EPOCH + 1

    def test_that_come_out_of_order_do_not_give_requests_back(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(remaining=0, reset=EPOCH + 9))
        learn(limiter, "default", headers(remaining=5, reset=EPOCH + 9))
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 9

    @given(
        st.dictionaries(
            st.sampled_from([*headers(date=EPOCH)]),
            st.text(st.characters(max_codepoint=255), max_size=8) | st.integers(0).map(str),
        )
    )
    def test_of_any_kind_can_be_read(self, said: dict[str, str]) -> None:
        learn(RateLimiter(10), "default", said)


class TestLostAnswers:
    def test_free_their_place(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(concurrent=1))
        for _ in range(5):
            with pytest.raises(OSError, match="lost"), limiter.slot("default"):
                raise OSError("lost")
        assert clock.now < EPOCH + 1

    def test_count_as_used(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(limit=3, remaining=2, reset=EPOCH + 60, date=EPOCH))
        for _ in range(2):
            with pytest.raises(OSError, match="lost"), limiter.slot("default"):
                raise OSError("lost")
        assert clock.now < EPOCH + 1
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 60

    def test_never_end_in_a_wait_for_ever(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "default", headers(limit=5, remaining=4, reset=EPOCH + 60, date=EPOCH))
        for _ in range(50):
            with limiter.slot("default"):
                pass
        assert EPOCH + 60 * 9 < clock.now < EPOCH + 60 * 12

    def test_free_their_place_with_real_threads(self) -> None:
        limiter = RateLimiter(1e6)
        learn(
            limiter,
            "default",
            headers(limit=10_000, remaining=9_999, reset=EPOCH + 10**8, concurrent=2),
        )

        def work() -> None:
            for _ in range(5):
                with pytest.raises(OSError, match="lost"), limiter.slot("default"):
                    raise OSError("lost")

        run_together(work, threads=10)


class TestBlock:
    def test_holds_back_its_own_family_only(self) -> None:
        clock = Clock(EPOCH)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        limiter.block("issues", 5)
        with limiter.slot("explore"):
            assert clock.now == EPOCH
        with limiter.slot("issues"):
            assert clock.now == pytest.approx(EPOCH + 5)

    def test_is_not_shortened_by_a_later_one(self) -> None:
        clock = Clock(EPOCH)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        limiter.block("issues", 5)
        limiter.block("issues", 1)
        with limiter.slot("issues"):
            assert clock.now == pytest.approx(EPOCH + 5)


class TestWaits:
    def test_are_told_by_reason(self) -> None:
        now, asleep, wake = [EPOCH + 0.5], threading.Semaphore(0), threading.Event()

        def sleep(seconds: float) -> None:
            asleep.release()
            assert wake.wait(5)
            now[0] += seconds

        limiter = RateLimiter(0.1, clock=lambda: now[0], sleep=sleep)
        learn(limiter, "project_events", headers(limit=60, remaining=0, reset=EPOCH + 60))
        # The first of "default" leaves at once.
        names = iter(["project_events"] * 3 + ["default"] * 3)

        def work() -> None:
            with limiter.slot(next(names)):
                pass

        waiting = [threading.Thread(target=work, daemon=True) for _ in range(6)]
        for thread in waiting:
            thread.start()
        # One sleeps for each of the two reasons, the other three only block.
        assert asleep.acquire(timeout=5)
        assert asleep.acquire(timeout=5)
        while sum(requests for _, _, requests in limiter.waits()) < 5:
            time.sleep(0.001)
        assert limiter.waits() == [("project_events", 59.5, 3), ("rate_limit", 20.0, 2)]
        wake.set()
        for thread in waiting:
            thread.join(5)
        assert limiter.waits() == []
        assert limiter.waited_s["project_events"] >= 59
        assert limiter.waited_s["rate_limit"] >= 10

    def test_are_none_for_requests_that_wait_for_answers_of_others(self) -> None:
        limiter = RateLimiter(1e6)
        waiting = threading.Thread(target=learn, args=(limiter, "default", {}), daemon=True)
        with limiter.slot("default"):
            waiting.start()
            assert limiter.waits() == []
        waiting.join(5)
        assert not waiting.is_alive()
        assert limiter.waited_s["default"] == 0

    def test_end_for_the_others_when_one_is_interrupted_asleep(self) -> None:
        clock = Clock()
        interrupts = iter([KeyboardInterrupt()])

        def sleep(seconds: float) -> None:
            for error in interrupts:
                raise error
            clock.sleep(seconds)

        limiter = RateLimiter(10, clock=clock, sleep=sleep)
        limiter.block("issues", 5)
        with pytest.raises(KeyboardInterrupt), limiter.slot("issues"):
            pass
        run_together(lambda: learn(limiter, "issues", {}), threads=5)
        assert limiter.waits() == []


class TestRates:
    def test_are_documented_ones_until_an_answer_tells(self) -> None:
        limiter = RateLimiter(1000, clock=Clock(), sleep=lambda _: None)
        assert limiter.rates()["project_events"] == 1
        assert limiter.rates()["explore"] == 30
        learn(limiter, "explore", headers(limit=50, remaining=49, reset=EPOCH + 1, date=EPOCH))
        assert limiter.rates()["explore"] == 50

    def test_follow_windows_of_another_length_than_documented(self) -> None:
        clock = Clock()
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "issues", headers(limit=30, remaining=9, reset=EPOCH + 10, date=EPOCH))
        learn(limiter, "project_events", headers(limit=9, remaining=9, reset=EPOCH + 1, date=EPOCH))
        assert limiter.rates()["issues"] == pytest.approx(3)
        assert limiter.rates()["project_events"] == pytest.approx(9)

    def test_come_with_what_may_be_under_way_at_once(self) -> None:
        limiter = RateLimiter(1000, max_in_flight=20, clock=Clock())
        names = ("project_events", "explore", "default")
        assert [limiter.concurrency(name) for name in names] == [1, 15, 20]
        learn(limiter, "explore", headers(concurrent=7))
        learn(limiter, "issues", {})
        assert [limiter.concurrency(name) for name in ("explore", "issues")] == [7, 20]


class TestQuotas:
    def test_are_what_sentry_told_and_how_much_of_a_window_was_used(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        for remaining in (30, 10):  # others have the same token
            said = headers(limit=40, remaining=remaining, reset=EPOCH + 1, date=EPOCH)
            learn(limiter, "default", said)
        clock.now = EPOCH + 1.5
        learn(limiter, "default", headers(remaining=39, reset=EPOCH + 2, date=EPOCH + 1))
        assert limiter.quotas() == {"default": Quota(limit=40, window_s=1, most_used=0.75)}

    def test_are_used_up_by_a_refusal_and_never_more(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        with limiter.slot("default") as slot:
            slot.learn(headers(limit=40, remaining=0, date=EPOCH), 429)
        assert limiter.quotas()["default"].most_used == 1

    def test_are_none_where_no_limits_are_told(self) -> None:
        limiter = RateLimiter(1e6)
        learn(limiter, "default", {})
        assert limiter.quotas() == {}


class TestAnsweringTime:
    def test_is_that_of_the_family_and_leaves_waits_out(self) -> None:
        clock = Clock(EPOCH)
        limiter = RateLimiter(1, clock=clock, sleep=clock.sleep)
        for seconds in (0.25, 0.5):  # the second one waits for the rate before it leaves
            with limiter.slot("issues"):
                clock.now += seconds
        with limiter.slot("default"):
            clock.now += 2
        assert dict(limiter.answering_s) == pytest.approx({"issues": 0.75, "default": 2})
        assert limiter.latency_s == pytest.approx(2.75 / 3)


class TestFamily:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/projects/acme/web/events/", "project_events"),
            ("/projects/acme/web/issues/", "project_issues"),
            ("/organizations/acme/events/", "explore"),
            ("/organizations/acme/events-timeseries/", "timeseries"),
            ("/organizations/acme/issues/", "issues"),
            ("/organizations/acme/issues/17/", "issue_detail"),
            ("/organizations/acme/issues/17/events/latest/", "event_detail"),
            ("/organizations/acme/stats_v2/", "stats"),
            ("/organizations/acme/releases/", "releases"),
            ("/organizations/acme/releases/web%401.0/", "default"),
            ("/organizations/acme/releases/events/", "default"),
            ("/organizations/acme/issues/17/events/", "default"),
            ("/projects/acme/web/events/0123/", "default"),
            ("/organizations/acme/projects/", "default"),
            ("/organizations/", "default"),
            ("/projects/acme/web/", "default"),
            ("", "default"),
        ],
    )
    def test_is_named_by_the_endpoint(self, path: str, name: str) -> None:
        assert family(path) == name
        assert family(f"/sentry/api/0{path}") == name

    def test_has_a_limit_of_its_own(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        learn(limiter, "project_events", headers(remaining=0, reset=EPOCH + 60, date=EPOCH))
        for _ in range(10):
            with limiter.slot("explore"):
                pass
        assert clock.now < EPOCH + 1

    def test_that_waits_for_its_window_does_not_slow_another(self) -> None:
        now, asleep, wake = [EPOCH + 0.5], threading.Event(), threading.Event()

        def sleep(_: float) -> None:
            asleep.set()
            assert wake.wait(5)

        limiter = RateLimiter(math.inf, clock=lambda: now[0], sleep=sleep)
        limiter.block("issues", 60)
        done: list[str] = []

        def work(name: str) -> None:
            with limiter.slot(name):
                done.append(name)

        waiting = threading.Thread(target=work, args=("issues",), daemon=True)
        waiting.start()
        assert asleep.wait(5)
        for _ in range(5):
            work("explore")
        now[0] += 60
        wake.set()
        waiting.join(5)
        assert done == [*["explore"] * 5, "issues"]


class TestRateLimitAdapter:
    def send(self, adapter: RateLimitAdapter, path: str) -> requests.Response:
        request = requests.Request("GET", f"{API}{path}", params={"cursor": "0:0:0"}).prepare()
        return adapter.send(request, stream=True, timeout=3)

    def test_learns_from_the_answer_for_the_family_of_the_path(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        inner = Scripted(Reply(200, [], headers(remaining=0, reset=EPOCH + 60, date=EPOCH)))
        adapter = RateLimitAdapter(inner, limiter)
        self.send(adapter, "/organizations/acme/projects/")
        self.send(adapter, "/organizations/acme/events/")
        assert clock.now < EPOCH + 1
        self.send(adapter, "/organizations/acme/teams/")  # shares the bucket of projects
        assert clock.now >= EPOCH + 60

    def test_hands_everything_to_the_transport_below(self) -> None:
        inner = Scripted(Reply(200, [1], {"X-Hits": "7"}))
        adapter = RateLimitAdapter(inner, RateLimiter(1000))
        response = self.send(adapter, "/organizations/acme/issues/")
        assert (response.status_code, response.headers["x-hits"]) == (200, "7")
        assert inner.urls == [f"{API}/organizations/acme/issues/?cursor=0%3A0%3A0"]
        assert inner.timeouts == [3]

    def test_passes_errors_on_and_goes_on(self) -> None:
        limiter = RateLimiter(1000)
        learn(limiter, "default", headers(concurrent=1, reset=EPOCH + 10**8))
        adapter = RateLimitAdapter(Scripted(requests.ConnectionError("gone"), Reply()), limiter)
        with pytest.raises(requests.ConnectionError):
            self.send(adapter, "/organizations/")
        assert self.send(adapter, "/organizations/").status_code == 200

    @pytest.mark.parametrize("step", [Reply(429), Reply(503), requests.ConnectionError("gone")])
    def test_reports_trouble(self, step: Reply | Exception) -> None:
        limiter = Watched(1000)
        adapter = RateLimitAdapter(Scripted(Reply(404), step), limiter)
        self.send(adapter, "/organizations/")
        with suppress(requests.ConnectionError):
            self.send(adapter, "/organizations/")
        assert [slot.told is None or slot.told.is_trouble for slot in limiter.slots] == [
            False,
            True,
        ]

    def test_closes_the_transport_below(self) -> None:
        inner = Scripted(Reply())
        RateLimitAdapter(inner, RateLimiter(1000)).close()
        assert inner.is_closed


class Watched(RateLimiter):
    """Keeps its slots for a test to look at."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.slots: list[Slot] = []

    @contextmanager
    def slot(self, family: str) -> Iterator[Slot]:
        with super().slot(family) as slot:
            self.slots.append(slot)
            yield slot


def run_together(work: Callable[[], None], *, threads: int) -> None:
    """Run the work in many threads; fail if one fails or does not come back."""
    errors: list[Any] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    running = [threading.Thread(target=guarded, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(10)
    assert not errors
    assert not any(thread.is_alive() for thread in running)
