"""Whole syncs played event by event: gates of one or more processes before one demo limiter."""

from __future__ import annotations

import email.utils
import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tap_sentry.demo.limits import SENTRY_LIMITS, Limiter, RateLimit
from tap_sentry.gate import Gate, Slot, Steady

EPOCH = 1_790_000_000
VIEWS = {"issue_detail": "issue", "event_detail": "issue_event"}
CALLER = "caller"


class Server:
    """Time, what happens in it, and the limits of the demo."""

    def __init__(
        self, limits: Mapping[str, RateLimit] = SENTRY_LIMITS, start: float = EPOCH + 0.3
    ) -> None:
        self.start = self.now = start
        self.limiter = Limiter(limits, lambda: self.now)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def at(self, at: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(at, self.now), next(self._number), happens))

    def run(self, seconds: float) -> None:
        until = self.start + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._due)
            happens()
        self.now = until


def always(value: float) -> Iterator[float]:
    return itertools.repeat(value)


@dataclass
class Process:
    """One tap that always has more to ask."""

    server: Server
    families: tuple[str, ...]
    rate: float = 1000.0
    max_in_flight: int = 100
    up_s: Iterator[float] = field(default_factory=lambda: always(0.01))
    down_s: Iterator[float] = field(default_factory=lambda: always(0.01))
    fails: Iterator[bool] = field(default_factory=lambda: itertools.repeat(False))
    offset_s: float = 0.0  # of its clock to the server's
    begins_s: float = 0.0
    waiting: int = 20  # requests per family

    def __post_init__(self) -> None:
        self.gate = Gate(self.rate, self.max_in_flight)
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()  # of those sent after the first headers
        self.refused_by_window: Counter[str] = Counter()  # likewise
        self.accepted_at: dict[str, list[float]] = defaultdict(list)
        self.sent_at: list[float] = []
        self.most_in_flight: Counter[str] = Counter()
        self.most_together = 0
        self.lost = 0
        self._told: set[str] = set()
        self._in_flight: Counter[str] = Counter()
        self._clock = Steady(lambda: self.server.now + self.offset_s)
        self._wakes_at = math.inf
        self._is_greedy = True
        for family in self.families * self.waiting:
            self.gate.ask(family)
        self.server.at(self.server.start + self.begins_s, self.turn)

    def jump(self, seconds: float) -> None:
        """Somebody sets this process's clock."""
        self.offset_s += seconds
        self._wakes_at = math.inf
        self.turn()

    def stop(self) -> None:
        """Ask nothing more."""
        self.gate.waiting.clear()
        self._is_greedy = False

    @property
    def in_flight(self) -> int:
        return self._in_flight.total()

    def turn(self) -> None:
        now = self._clock()
        while (slot := self.gate.send(now)) is not None:
            self._send(slot)
            if self._is_greedy:
                self.gate.ask(slot.family)
        own = self.gate.own_rate_at(now)
        wake_s = min((max(at, own) for at, _ in self.gate.next_instants(now)), default=math.inf)
        wake_s -= now
        if self.server.now + wake_s < self._wakes_at:
            self._wakes_at = self.server.now + wake_s
            self.server.at(self._wakes_at, self._wake)

    def _wake(self) -> None:
        self._wakes_at = math.inf
        self.turn()

    def _send(self, slot: Slot) -> None:
        family = slot.family
        was_told = family in self._told
        self.sent_at.append(self.server.now)
        self._in_flight[family] += 1
        self.most_in_flight[family] = max(self.most_in_flight[family], self._in_flight[family])
        self.most_together = max(self.most_together, self.in_flight)
        down_s, fails = next(self.down_s), next(self.fails)

        def arrive() -> None:
            view = VIEWS.get(family, family)
            headers, refusal = self.server.limiter.enter(CALLER, view)
            if refusal is None:
                self.accepted[family] += 1
                self.accepted_at[family].append(self.server.now)
            elif was_told:
                self.refused[family] += 1
                self.refused_by_window[family] += "too frequently" in str(refusal.body)
            status = 200 if refusal is None else refusal.status

            def leave() -> None:
                if refusal is None:
                    self.server.limiter.leave(CALLER, view)
                date = email.utils.formatdate(math.floor(self.server.now), usegmt=True)
                told = {**headers, "Date": date}
                self.server.at(self.server.now + down_s / 2, lambda: answer(told, status))

            self.server.at(self.server.now + down_s / 2, leave)

        def answer(headers: Mapping[str, str], status: int) -> None:
            self._in_flight[family] -= 1
            if fails:
                self.lost += 1
            else:
                self._told.add(family)
                slot.learn(headers, status)
            self.gate.finish(slot, self._clock())
            self.turn()

        self.server.at(self.server.now + next(self.up_s), arrive)


def accepted_between(process: Process, family: str, begin_s: float, end_s: float) -> int:
    start = process.server.start
    return sum(begin_s <= at - start < end_s for at in process.accepted_at[family])


LATENCIES_S = [0.0, 0.05, 0.2]
# Any finite list of latencies, again and again.
latencies = st.lists(st.floats(0.001, 2.5), min_size=1, max_size=6).map(itertools.cycle)
offsets = st.floats(-3.7, 3.7)
starts = st.floats(EPOCH, EPOCH + 120)
limits = st.builds(
    RateLimit,
    st.integers(1, 12),
    st.sampled_from([1, 60]),
    st.integers(1, 9),
)


class TestThroughput:
    @pytest.mark.parametrize("latency_s", LATENCIES_S)
    @pytest.mark.parametrize("offset_s", [-3.7, 0.0, 0.5])
    def test_is_that_of_the_buckets(self, latency_s: float, offset_s: float) -> None:
        server = Server(start=EPOCH + 0.3)
        half = latency_s / 2
        tap = Process(
            server,
            ("explore", "project_events"),
            up_s=always(half),
            down_s=always(half),
            offset_s=offset_s,
        )
        server.run(30)
        assert not tap.refused
        assert tap.accepted["explore"] >= 0.95 * 30 * 30
        assert tap.accepted["project_events"] == 60

    @pytest.mark.parametrize("latency_s", LATENCIES_S)
    def test_lasts_over_many_windows(self, latency_s: float) -> None:
        server = Server()
        tap = Process(server, ("project_events",), down_s=always(latency_s))
        server.run(600)
        assert not tap.refused
        assert tap.accepted["project_events"] >= 0.95 * 600

    @pytest.mark.parametrize("rate", [1.5, 10.0, 25.0])
    def test_is_the_own_rate_where_that_is_less(self, rate: float) -> None:
        server = Server()
        tap = Process(server, ("explore", "default", "issues"), rate=rate, down_s=always(0.2))
        server.run(30)
        assert len(tap.sent_at) == pytest.approx(rate * 30, abs=2)

    def test_suffers_little_from_slow_answers(self) -> None:
        server = Server()
        down_s = itertools.cycle([0.1, 2.0, 0.3])
        tap = Process(server, ("explore", "issues"), down_s=down_s)
        server.run(30)
        assert not tap.refused
        # What is under way for long may count in every window that begins meanwhile.
        assert tap.accepted["issues"] >= 0.7 * 10 * 30


class TestWindows:
    @given(limits, st.tuples(latencies, latencies), offsets, starts, st.sampled_from([3.0, 1000.0]))
    @hypothesis_settings(max_examples=60)
    def test_never_get_more_requests_than_their_limit(
        self,
        limit: RateLimit,
        up_and_down_s: tuple[Iterator[float], Iterator[float]],
        offset_s: float,
        start: float,
        rate: float,
    ) -> None:
        up_s, down_s = up_and_down_s
        server = Server({"explore": limit}, start)
        tap = Process(server, ("explore",), rate, up_s=up_s, down_s=down_s, offset_s=offset_s)
        server.run(40)
        assert tap.accepted
        assert not tap.refused_by_window

    @given(limits, latencies, st.lists(st.booleans(), min_size=1, max_size=8), starts)
    @hypothesis_settings(max_examples=40)
    def test_get_at_most_as_many_too_many_as_answers_were_lost(
        self, limit: RateLimit, down_s: Iterator[float], fails: list[bool], start: float
    ) -> None:
        server = Server({"explore": limit}, start)
        tap = Process(server, ("explore",), down_s=down_s, fails=itertools.cycle(fails))
        server.run(40)
        assert tap.refused_by_window.total() <= tap.lost

    @given(
        limits,
        latencies,
        st.lists(st.tuples(st.floats(1, 50), st.floats(-4000, 4000)), min_size=1, max_size=3),
        offsets,
    )
    @hypothesis_settings(max_examples=60)
    def test_get_few_too_many_when_a_clock_jumps(
        self,
        limit: RateLimit,
        down_s: Iterator[float],
        jumps: list[tuple[float, float]],
        offset_s: float,
    ) -> None:
        server = Server({"explore": limit})
        tap = Process(server, ("explore",), down_s=down_s, offset_s=offset_s)
        for at_s, jump_s in jumps:
            server.at(server.start + at_s, partial(tap.jump, jump_s))
        server.run(200)
        forward = sum(jump_s > 0 for _, jump_s in jumps)
        # Those that were under way until an answer told.
        assert tap.refused_by_window.total() <= forward * limit.concurrent
        assert accepted_between(tap, "explore", 60 + 61, 200) > 0

    @pytest.mark.parametrize("jump_s", [0.4, 1.7, 45.0, 3600.0])
    def test_of_a_minute_cost_one_429_at_most_when_a_clock_jumps_forward(
        self, jump_s: float
    ) -> None:
        server = Server()
        tap = Process(server, ("project_events",))
        server.at(EPOCH + 30, lambda: tap.jump(jump_s))
        server.run(600)
        assert tap.refused.total() <= 1
        assert tap.accepted["project_events"] >= 0.9 * 600

    @pytest.mark.parametrize(("jump_s", "refused"), [(0.4, 15), (0.8, 15), (1.7, 1), (3600.0, 1)])
    def test_of_a_second_cost_what_is_under_way_at_most_when_a_clock_jumps_forward(
        self, jump_s: float, refused: int
    ) -> None:
        server = Server()
        tap = Process(server, ("explore",), down_s=always(0.2))
        server.at(EPOCH + 9.6, partial(tap.jump, jump_s))
        server.run(60)
        assert tap.refused.total() <= refused
        assert tap.accepted["explore"] >= 0.9 * 30 * 60

    @pytest.mark.parametrize("jump_s", [-0.4, -1.7, -45.0, -3600.0])
    def test_are_waited_for_a_minute_longer_at_most_when_a_clock_is_turned_back(
        self, jump_s: float
    ) -> None:
        server = Server()
        tap = Process(server, ("project_events",))
        server.at(EPOCH + 30, lambda: tap.jump(jump_s))
        server.run(600)
        assert not tap.refused
        assert tap.accepted["project_events"] >= 0.8 * 600


class TestSharing:
    @pytest.mark.parametrize("family", ["project_events", "explore", "default", "issues"])
    def test_gives_equal_processes_equal_parts(self, family: str) -> None:
        server = Server()
        taps = [
            Process(server, (family,), down_s=always(0.05), offset_s=offset_s)
            for offset_s in (0.0, -1.4, 2.2)
        ]
        limit = SENTRY_LIMITS[family]
        seconds = 40 * limit.window_s
        server.run(seconds)
        parts = [accepted_between(tap, family, seconds / 2, seconds) for tap in taps]
        assert max(parts) <= 2 * min(parts)
        assert sum(parts) >= 0.7 * limit.requests * 20
        assert sum(tap.refused.total() for tap in taps) <= 0.05 * limit.requests * 40

    @pytest.mark.parametrize("family", ["explore", "issue_detail"])
    def test_leaves_something_to_those_with_slow_answers(self, family: str) -> None:
        server = Server()
        taps = [
            Process(server, (family,), up_s=always(half_s), down_s=always(half_s))
            for half_s in (0.01, 0.05, 0.15)
        ]
        server.run(60)
        parts = [accepted_between(tap, family, 30, 60) for tap in taps]
        assert min(parts) >= 0.1 * sum(parts)

    @pytest.mark.parametrize("family", ["project_events", "explore"])
    def test_makes_room_for_those_that_come_later(self, family: str) -> None:
        server = Server()
        window_s = SENTRY_LIMITS[family].window_s
        taps = [
            Process(server, (family,), down_s=always(0.05), begins_s=begins * window_s)
            for begins in (0, 5.4, 12.7)
        ]
        seconds = 60 * window_s
        server.run(seconds)
        parts = [accepted_between(tap, family, seconds / 2, seconds) for tap in taps]
        assert max(parts) <= 2 * min(parts)

    def test_ends_when_the_others_are_done(self) -> None:
        server = Server()
        tap = Process(server, ("explore",))
        for _ in range(2):
            other = Process(server, ("explore",), waiting=5)
            server.at(server.start + 20, other.stop)
        server.run(60)
        assert accepted_between(tap, "explore", 10, 20) < 0.6 * 30 * 10
        assert accepted_between(tap, "explore", 40, 60) >= 0.9 * 30 * 20


class TestGate:
    def test_never_lets_the_scarcest_family_wait_for_others(self) -> None:
        server = Server()
        families = ("default", "explore", "releases", "project_events", "issues")
        tap = Process(server, families, rate=4, down_s=always(0.1))
        server.run(120)
        assert tap.accepted["project_events"] >= 0.95 * 120
        assert len(tap.sent_at) >= 0.97 * 4 * 120

    def test_lets_no_family_starve(self) -> None:
        server = Server()
        families = ("issue_detail", "project_issues", "issues", "stats", "default")
        tap = Process(server, families, rate=10, waiting=10)
        server.run(60)
        assert min(tap.accepted[name] for name in families) >= 20

    def test_bounds_what_is_under_way_over_all_families(self) -> None:
        server = Server()
        tap = Process(server, ("explore", "default", "issues"), max_in_flight=4)
        tap.down_s = always(1.0)
        server.run(20)
        assert tap.most_together == 4

    def test_makes_up_for_late_wake_ups_by_one_interval_at_most(self) -> None:
        gate = Gate(10, 100)
        sent = []
        for now in (0.0, 0.13, 0.2, 0.39, 0.41, 5.0, 5.0, 5.0, 5.05):
            gate.ask("default")
            if (slot := gate.send(now)) is not None:
                gate.finish(slot, now)
                sent.append(now)
        assert sent == [0.0, 0.13, 0.2, 0.39, 0.41, 5.0, 5.0]


class TestConcurrency:
    def run(self, limit: RateLimit, **given: object) -> Process:
        server = Server({"explore": limit})
        tap = Process(server, ("explore",), **given)  # type: ignore[arg-type]
        server.run(20)
        return tap

    def test_doubles_with_each_round_trip(self) -> None:
        server = Server({"explore": RateLimit(1000, 1, 100)})
        tap = Process(server, ("explore",), up_s=always(0.5), down_s=always(0.5), rate=1e6)
        found = []
        for second in range(5):
            server.at(server.start + second + 0.9, lambda: found.append(tap.in_flight))
        server.run(5)
        assert found == [1, 2, 4, 8, 16]

    @given(st.integers(1, 9), latencies)
    @hypothesis_settings(max_examples=20)
    def test_stays_within_what_the_headers_allow(
        self, concurrent: int, down_s: Iterator[float]
    ) -> None:
        tap = self.run(RateLimit(1000, 1, concurrent), down_s=down_s)
        assert tap.most_in_flight["explore"] == concurrent

    def test_of_project_events_is_one_whatever_the_headers_say(self) -> None:
        server = Server({"project_events": RateLimit(60, 60, 2)})
        tap = Process(server, ("project_events",))
        server.run(10)
        assert tap.most_in_flight["project_events"] == 1

    def test_halves_once_when_requests_fail_together_and_then_grows_slowly(self) -> None:
        gate = Gate(1e6, 100)
        bucket = gate.bucket("default")
        now = 0.0

        def round_trip(status: int) -> int:
            nonlocal now
            now += 1
            for _ in range(100):
                gate.ask("default")
            slots = list(iter(lambda: gate.send(now), None))
            for slot in slots:
                slot.learn({}, status)
                gate.finish(slot, now + 0.5)
            return len(slots)

        for _ in range(5):
            round_trip(200)
        assert round_trip(503) == 32
        assert [round_trip(200) for _ in range(3)] == [16, 16, 17]
        assert round_trip(429) == 18
        assert round_trip(404) == 9
        assert bucket.allowed == pytest.approx(10.4, abs=0.1)
        for _ in range(9):
            round_trip(500)
        assert round_trip(200) == 1

    def test_without_headers_grows_to_the_most_in_flight(self) -> None:
        gate = Gate(1e6, 12)
        for now in range(12):
            for _ in range(12):
                gate.ask("explore")
            slots = list(iter(partial(gate.send, float(now)), None))
            for slot in slots:
                slot.learn({})
                gate.finish(slot, now + 0.5)
        assert len(slots) == 12
