from __future__ import annotations

import email.utils
import heapq
import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tap_sentry.rate_limit import RateLimitAdapter, RateLimiter, family
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


@dataclass
class Sentry:
    """Fixed windows on the server's own clock, and requests that take their time.

    One thread plays all workers: while the limiter sleeps, answers that are due come in.
    """

    limit: int = 40
    window_s: int = 1
    offset_s: float = 0.0  # server clock minus ours
    workers: int = 8
    rate: float = 1000
    up_s: Iterator[float] = field(default_factory=lambda: itertools.repeat(0.01))
    down_s: Iterator[float] = field(default_factory=lambda: itertools.repeat(0.01))
    fails: Iterator[bool] = field(default_factory=lambda: itertools.repeat(False))
    others: Callable[[int], int] = lambda _: 0  # requests of other processes, by window
    concurrent: int = 1000
    start: float = EPOCH + 0.3

    def __post_init__(self) -> None:
        self.now = self.start
        self.counted: Counter[int] = Counter()
        self.sent: list[float] = []
        self.accepted = self.failed = 0
        self.rejected: Counter[int] = Counter()  # those sent after the first headers, by window
        self.most_in_flight = 0  # likewise
        self.in_flight = 0
        self.has_told = False
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self.limiter = RateLimiter(self.rate, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        assert self.now < self.start + 100_000, "waits for ever"
        self._run_until(self.now + seconds)

    def send(self) -> None:
        """One more request leaves as soon as a worker and the limiter let it."""
        while self.in_flight >= self.workers:
            self._run_until(self._due[0][0])
        stack = ExitStack()
        slot = stack.enter_context(self.limiter.slot("default"))
        was_told = self.has_told
        self.sent.append(self.now)
        self.in_flight += 1
        if was_told:
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        fails, down_s = next(self.fails), next(self.down_s)

        def arrive() -> None:
            answer = self._count(was_told=was_told)
            self._at(self.now + down_s, lambda: leave(answer))

        def leave(answer: Mapping[str, str]) -> None:
            self.in_flight -= 1
            if fails:
                self.failed += 1
            else:
                self.has_told = True
                slot.learn(answer)
            stack.close()

        self._at(self.now + next(self.up_s), arrive)

    def finish(self) -> None:
        """Let all answers come in."""
        while self._due:
            self._run_until(self._due[0][0])

    def _count(self, *, was_told: bool) -> Mapping[str, str]:
        at = self.now + self.offset_s
        window = int(at // self.window_s)
        if window not in self.counted:
            self.counted[window] = self.others(window)
        self.counted[window] += 1
        if self.counted[window] <= self.limit:
            self.accepted += 1
        elif was_told:
            self.rejected[window] += 1
        return headers(
            limit=self.limit,
            remaining=max(self.limit - self.counted[window], 0),
            reset=(window + 1) * self.window_s,
            concurrent=self.concurrent,
            date=math.floor(at),
        )

    def _at(self, at: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._number), happens))

    def _run_until(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._due)
            happens()
        self.now = max(self.now, until)


# Any finite list of latencies, again and again.
latencies = st.lists(st.floats(0.001, 2.5), min_size=1, max_size=6).map(itertools.cycle)
offsets = st.floats(-3.7, 3.7)
sentries = st.builds(
    Sentry,
    limit=st.integers(1, 12),
    window_s=st.sampled_from([1, 60]),
    offset_s=offsets,
    workers=st.integers(1, 8),
    rate=st.sampled_from([3.0, 10.0, 1000.0]),
    up_s=latencies,
    down_s=latencies,
    start=st.floats(EPOCH, EPOCH + 120),
)
pauses = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0, 7.0]), min_size=10, max_size=40)


class TestWindows:
    @given(sentries, pauses)
    def test_never_get_more_requests_than_their_limit(
        self, sentry: Sentry, pauses: list[float]
    ) -> None:
        for pause in pauses:
            sentry.send()
            sentry.sleep(pause)
        sentry.finish()
        assert not sentry.rejected

    @given(sentries, pauses, st.lists(st.booleans(), min_size=1, max_size=8))
    def test_get_at_most_as_many_too_many_as_answers_were_lost(
        self, sentry: Sentry, pauses: list[float], fails: list[bool]
    ) -> None:
        sentry.fails = itertools.cycle(fails)
        for pause in pauses:
            sentry.send()
            sentry.sleep(pause)
        sentry.finish()
        assert sentry.rejected.total() <= sentry.failed

    @given(sentries, pauses, st.integers(0, 12))
    def test_that_others_use_too_cost_one_429_per_worker_at_most(
        self, sentry: Sentry, pauses: list[float], others: int
    ) -> None:
        sentry.others = lambda window: others * (window % 2)
        for pause in pauses:
            sentry.send()
            sentry.sleep(pause)
        sentry.finish()
        assert all(count <= sentry.workers for count in sentry.rejected.values())

    @pytest.mark.parametrize("offset_s", [-3.7, -0.5, 0.0, 0.5, 3.7])
    @pytest.mark.parametrize("start", [EPOCH, EPOCH + 0.5, EPOCH + 0.9])
    def test_are_used_well(self, offset_s: float, start: float) -> None:
        sentry = Sentry(limit=40, offset_s=offset_s, start=start)
        while sentry.now < start + 20:
            sentry.send()
        sentry.finish()
        assert not sentry.rejected
        assert sentry.accepted >= 0.9 * 40 * 20

    def test_of_a_minute_are_used_whole(self) -> None:
        sentry = Sentry(limit=60, window_s=60, workers=1, offset_s=-1.3)
        while sentry.now < EPOCH + 600:
            sentry.send()
        assert not sentry.rejected
        assert sentry.accepted >= 60 * 9

    def test_are_used_well_in_spite_of_slow_answers(self) -> None:
        # 25 workers at 0.5 s each could do 50 a second.
        slow = itertools.cycle([0.2, 0.3, 0.4])
        sentry = Sentry(limit=40, workers=25, up_s=itertools.repeat(0.2), down_s=slow)
        while sentry.now < EPOCH + 20:
            sentry.send()
        sentry.finish()
        assert not sentry.rejected
        assert sentry.accepted >= 0.6 * 40 * 20


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

    def test_is_reached(self) -> None:
        sentry = Sentry(limit=1000, rate=20)
        while sentry.now < sentry.start + 10:
            sentry.send()
        assert len(sentry.sent) == pytest.approx(200, abs=3)

    def test_spreads_requests_evenly(self) -> None:
        sentry = Sentry(limit=1000, rate=20)
        for _ in range(50):
            sentry.send()
        gaps = [later - at for at, later in itertools.pairwise(sentry.sent[2:])]
        assert gaps == pytest.approx([0.05] * len(gaps))


class TestConcurrency:
    @given(sentries, st.integers(1, 5))
    @hypothesis_settings(max_examples=50)
    def test_stays_within_what_the_headers_allow(self, sentry: Sentry, concurrent: int) -> None:
        sentry.concurrent = concurrent
        sentry.send()
        sentry.finish()
        for _ in range(20):
            sentry.send()
        assert sentry.most_in_flight <= concurrent

    def test_stays_within_the_limit_with_real_threads(self) -> None:
        limiter = RateLimiter(1e6)
        limiter.learn(
            "default", headers(limit=10_000, remaining=9_999, reset=EPOCH + 10**8, concurrent=3)
        )
        in_flight, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal in_flight, most
            for _ in range(3):
                with limiter.slot("default"):
                    with lock:
                        in_flight += 1
                        most = max(most, in_flight)
                    time.sleep(0.003)
                    with lock:
                        in_flight -= 1

        run_together(work, threads=12)
        assert most == 3

    def test_of_one_lets_requests_leave_one_by_one(self) -> None:
        sentry = Sentry(concurrent=1, workers=8)
        sentry.send()
        sentry.finish()
        for _ in range(20):
            sentry.send()
            assert sentry.in_flight == 1


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
        limiter.learn("default", headers(limit=2, remaining=1, reset=EPOCH + 60))
        with limiter.slot("default") as slot:
            slot.learn(headers(limit=None, remaining=None, reset=None))
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 60

    def test_with_a_date_that_cannot_be_read_are_taken_by_our_clock(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        said = {**headers(remaining=0, reset=EPOCH + 30), "Date": "soon"}
        assert limiter.learn("default", said)
        with limiter.slot("default"):
            assert clock.now == pytest.approx(EPOCH + 30)

    def test_of_an_older_window_change_nothing(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        limiter.learn("default", headers(remaining=39, reset=EPOCH + 2))
        limiter.learn("default", headers(remaining=0, reset=EPOCH + 1))
        with limiter.slot("default"):
            assert clock.now == EPOCH + 0.5

    def test_that_come_out_of_order_do_not_give_requests_back(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(10, clock=clock, sleep=clock.sleep)
        limiter.learn("default", headers(remaining=0, reset=EPOCH + 9))
        limiter.learn("default", headers(remaining=5, reset=EPOCH + 9))
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 9

    @given(
        st.dictionaries(
            st.sampled_from([*headers(date=EPOCH)]),
            st.text(st.characters(max_codepoint=255), max_size=8) | st.integers(0).map(str),
        )
    )
    def test_of_any_kind_can_be_read(self, said: dict[str, str]) -> None:
        RateLimiter(10).learn("default", said)


class TestLostAnswers:
    def test_free_their_place(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        limiter.learn("default", headers(concurrent=1))
        for _ in range(5):
            with pytest.raises(OSError, match="lost"), limiter.slot("default"):
                raise OSError("lost")
        assert clock.now < EPOCH + 1

    def test_count_as_used(self) -> None:
        clock = Clock(EPOCH + 0.5)
        limiter = RateLimiter(1000, clock=clock, sleep=clock.sleep)
        limiter.learn("default", headers(limit=3, remaining=2, reset=EPOCH + 60, date=EPOCH))
        for _ in range(2):
            with pytest.raises(OSError, match="lost"), limiter.slot("default"):
                raise OSError("lost")
        assert clock.now < EPOCH + 1
        with limiter.slot("default"):
            assert clock.now >= EPOCH + 60

    def test_never_end_in_a_wait_for_ever(self) -> None:
        sentry = Sentry(limit=5, fails=itertools.chain([False], itertools.repeat(True)))
        for _ in range(50):
            sentry.send()
        # Without an answer a window is taken to last a minute.
        assert sentry.now - sentry.start < 60 * 11

    def test_free_their_place_with_real_threads(self) -> None:
        limiter = RateLimiter(1e6)
        limiter.learn(
            "default", headers(limit=10_000, remaining=9_999, reset=EPOCH + 10**8, concurrent=2)
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
        limiter.learn("project_events", headers(remaining=0, reset=EPOCH + 60, date=EPOCH))
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
        limiter.learn("default", headers(concurrent=1, reset=EPOCH + 10**8))
        adapter = RateLimitAdapter(Scripted(requests.ConnectionError("gone"), Reply()), limiter)
        with pytest.raises(requests.ConnectionError):
            self.send(adapter, "/organizations/")
        assert self.send(adapter, "/organizations/").status_code == 200

    def test_closes_the_transport_below(self) -> None:
        inner = Scripted(Reply())
        RateLimitAdapter(inner, RateLimiter(1000)).close()
        assert inner.is_closed


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
