"""Other servers than today's sentry.io: what they lack is skipped in one line, the rest comes."""

from __future__ import annotations

import json
import logging
from collections import Counter
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from requests import PreparedRequest, Response

from tap_sentry.demo import DemoSentry, World
from tap_sentry.streams import STREAMS
from tap_sentry.tap import TapSentry
from tests.sync import NOW, Messages, sync

NAMES = {vars(stream)["name"] for stream in STREAMS}
LACKING = {
    "older": {"spans", "project_keys", "detectors", "workflows", "replays"},
    "glitchtip": {
        "spans", "project_keys", "detectors", "workflows", "replays", "monitors",
        "monitor_checkins", "usage_outcomes", "release_health",
    },
}  # fmt: skip
DIALECTS = tuple(LACKING)


class Run:
    """A whole sync of one kind of server."""

    def __init__(self, dialect: str) -> None:
        taps: list[TapSentry] = []
        world = World(clock=lambda: NOW, scale=0.1)
        self.sentry = DemoSentry(world, limits=None, dialect=dialect)
        self.messages: Messages = sync(self.sentry, change_tap=taps.append)
        self.skipped = taps[0].organization.report.skipped


@lru_cache
def run_of(dialect: str) -> Run:
    return Run(dialect)


class TestDialect:
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_streams_that_it_lacks_are_skipped_with_one_line_each(self, dialect: str) -> None:
        run = run_of(dialect)
        lines = Counter(skipped.stream for skipped in run.skipped)
        assert set(lines) == LACKING[dialect] & NAMES
        for stream in lines:
            assert not run.messages.records[stream]
        whole = dict.fromkeys(lines, 1)
        assert lines == whole

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_streams_that_it_has_come_whole(self, dialect: str) -> None:
        there = NAMES - LACKING[dialect]
        assert {"events", "issues", "projects", "releases", "teams", "users"} <= there
        for stream in sorted(there):
            expected = run_of("sentry").messages.rows(stream)
            assert run_of(dialect).messages.rows(stream).keys() == expected.keys(), stream

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_events_are_those_of_today(self, dialect: str) -> None:
        expected = run_of("sentry").messages.rows("events")
        assert len(expected) > 400
        assert run_of(dialect).messages.rows("events") == expected

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_takes_not_many_more_requests(self, dialect: str) -> None:
        assert len(run_of(dialect).sentry.requests) < 3 * len(run_of("sentry").sentry.requests)

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_next_run_brings_no_more_than_what_is_new(self, dialect: str) -> None:
        run = run_of(dialect)
        again = sync(run.sentry, "events", "issues", state=run.messages.states[-1])
        for stream in ("events", "issues"):
            assert len(again.records[stream]) < 0.5 * len(run.messages.records[stream])

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_sampling_keeps_the_same_events(self, dialect: str) -> None:
        options: dict[str, Any] = {"sample_fraction": 0.3, "min_events_per_issue": 1}
        found, expected = (
            sync(run_of(name).sentry, "events", **options) for name in (dialect, "sentry")
        )
        assert found.rows("events").keys() == expected.rows("events").keys()

    def test_without_limits_waits_for_none(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        sync(run_of("older").sentry, "teams", "events")
        assert any("0 retried, held back by limits: never" in line for line in caplog.messages)


class Anywhere(DemoSentry):
    """The demo at any address; below a prefix of the path, where one is given."""

    def __init__(self, prefix: str = "", region: str | None = None) -> None:
        super().__init__(World(clock=lambda: NOW, scale=0.1), limits=None)
        self.hosts: Counter[str] = Counter()
        self._prefix = prefix
        self._region = region

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        url = urlsplit(str(request.url))
        assert url.path.startswith(f"{self._prefix}/api/0/")
        self.hosts[f"{url.scheme}://{url.netloc}"] += 1
        asked = request.copy()
        asked.url = url._replace(path=url.path.removeprefix(self._prefix)).geturl()
        response = super().send(asked, *args, **kwargs)
        if self._region and url.path.endswith("/organizations/acme-shop/"):
            body = response.json()
            body["links"]["regionUrl"] = self._region
            response._content = json.dumps(body).encode()
        return response


class TestAddress:
    @pytest.mark.parametrize(
        ("base_url", "prefix", "host"),
        [
            ("https://sentry.example.com", "", "https://sentry.example.com"),
            ("https://sentry.example.com/api/0", "", "https://sentry.example.com"),
            ("https://sentry.example.com/api/0/", "", "https://sentry.example.com"),
            ("http://sentry.internal:9000/", "", "http://sentry.internal:9000"),
            ("http://10.0.0.7:8000/api/0/", "", "http://10.0.0.7:8000"),
            ("https://tools.example.com/sentry", "/sentry", "https://tools.example.com"),
            ("https://tools.example.com/a/b/api/0/", "/a/b", "https://tools.example.com"),
            ("https://de.sentry.io", "", "https://de.sentry.io"),
        ],
    )
    def test_of_each_kind_is_read_from(self, base_url: str, prefix: str, host: str) -> None:
        sentry = Anywhere(prefix)
        found = sync(sentry, "projects", "events", base_url=base_url, api_token="sntryu_any")
        assert len(found.records["projects"]) == 6
        assert len(found.records["events"]) > 400
        assert set(sentry.hosts) == {host}

    def test_of_sentry_io_leads_to_the_organizations_region(self) -> None:
        sentry = Anywhere(region="https://us.sentry.io")
        config: dict[str, Any] = {"base_url": "https://sentry.io/api/0/", "api_token": "sntryu_any"}
        found = sync(sentry, "projects", organization="acme-shop", **config)
        assert len(found.records["projects"]) == 6
        assert sentry.hosts == {"https://sentry.io": 1, "https://us.sentry.io": 1}
        # Pages of other hosts than Sentry's own are never believed.
        sentry = Anywhere(region="https://sentry.example.com")
        sync(sentry, "projects", organization="acme-shop", **config)
        assert set(sentry.hosts) == {"https://sentry.io"}
