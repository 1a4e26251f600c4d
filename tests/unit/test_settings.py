from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.errors import SettingsError
from tap_sentry.settings import SETTINGS, Settings, config_jsonschema
from tests.scripted import BEARER

TOKEN_ONLY = {"api_token": BEARER}
DEMO = {"base_url": "https://demo.invalid"}

BAD: list[tuple[str, Any]] = [
    ("api_token", 17),
    ("api_token", "sntryu_two words"),
    ("api_token", "sntryu_two\nlines"),
    ("api_token", "sntryu_ümlaut"),
    ("organization", 17),
    ("organization", ["acme"]),
    ("base_url", 17),
    ("base_url", "sentry.example.com"),
    ("base_url", "ftp://sentry.example.com"),
    ("base_url", "https://"),
    ("base_url", "https://sentry.example.com:port"),
    ("base_url", "https://sentry.example.com:0"),
    ("base_url", "https://[sentry"),
    ("base_url", "https://sentry.example.com/?a=b"),
    ("base_url", "https://sentry.example.com/#part"),
    ("base_url", "https://user:pass@sentry.example.com"),
    ("base_url", "https://user@sentry.example.com"),
    ("start_date", "yesterday"),
    ("start_date", 17),
    ("start_date", "2026-13-01"),
    ("end_date", "2026-02-30T00:00:00Z"),
    ("projects", "web"),
    ("projects", {"web": 1}),
    ("projects", [None]),
    ("exclude_projects", [["web"]]),
    ("rate_limit", 0),
    ("rate_limit", -1),
    ("rate_limit", "fast"),
    ("rate_limit", True),
    ("rate_limit", "nan"),
    ("rate_limit", []),
    ("max_concurrency", 0),
    ("max_concurrency", 101),
    ("max_concurrency", 1.5),
    ("max_concurrency", "2.5"),
    ("max_concurrency", "inf"),
    ("request_timeout_seconds", 0),
    ("request_timeout_seconds", "soon"),
    ("lookback_minutes", -1),
    ("release_lookback_days", -0.5),
    ("retention_days", 0),
    ("sample_fraction", 0),
    ("sample_fraction", 1.01),
    ("sample_fraction", "-0.1"),
    ("max_events_per_project", 0),
    ("min_events_per_issue", -1),
    ("max_events_per_issue", 0),
    ("max_events_per_issue", "many"),
    ("fetch_event_details", "true"),
    ("fetch_event_details", 1),
    ("span_attributes", "user.email"),
    ("span_attributes", [["user.email"]]),
    ("issues_full_pass_hours", -1),
    ("issues_full_pass_hours", "daily"),
    ("issues_full_pass_hours", 87_601),
    ("mask_pii", "mask"),
    ("mask_pii", "HASH"),
    ("mask_pii", " "),
    ("mask_pii", True),
    ("pii_hash_key", 17),
    ("pii_hash_key", "two words of a key"),
    ("pii_hash_key", "a key with ümlauts"),
    ("keep_unknown_fields", "true"),
    ("keep_unknown_fields", 1),
]


def problem(config: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as raised:
        Settings.check(config)
    return str(raised.value)


class TestBadValues:
    @pytest.mark.parametrize(("name", "value"), BAD, ids=str)
    def test_are_refused_in_one_line_that_names_the_setting(self, name: str, value: Any) -> None:
        text = problem({**TOKEN_ONLY, name: value})
        assert f"Wrong settings: {name} " in text
        assert "\n" not in text
        for other in SETTINGS:
            assert other.name == name or f" {other.name} " not in text

    def test_exist_for_every_setting(self) -> None:
        assert {name for name, _ in BAD} == {setting.name for setting in SETTINGS}

    def test_are_told_all_at_once(self) -> None:
        text = problem({**TOKEN_ONLY, "rate_limit": 0, "start_date": "x", "projects": "web"})
        assert all(name in text for name in ("rate_limit", "start_date", "projects"))

    def test_say_what_would_be_right_and_where_to_set_it(self) -> None:
        text = problem({**TOKEN_ONLY, "max_concurrency": 101})
        assert "it must be a whole number at least 1 and at most 100" in text
        assert "TAP_SENTRY_" in text

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            # Each would end the run later, with a traceback out of the standard library.
            ("start_date", "0001-01-01T00:00:00+14:00"),
            ("max_events_per_project", 10**400),
            ("retention_days", 10_000_000),
            ("retention_days", "inf"),
            ("lookback_minutes", "inf"),
            ("lookback_minutes", 10**12),
            ("release_lookback_days", 10**9),
            ("request_timeout_seconds", "inf"),
            ("base_url", "https://sentry example.com"),
            ("base_url", "https://sentry.example.com\\@foreign.example"),
        ],
    )
    def test_that_nothing_could_work_with_are_refused_too(self, name: str, value: Any) -> None:
        assert f"{name} " in problem({**TOKEN_ONLY, name: value})

    @given(
        name=st.sampled_from([setting.name for setting in SETTINGS]),
        value=st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
    def test_of_any_kind_raise_nothing_but_the_settings_error(self, name: str, value: Any) -> None:
        problems = []
        try:
            Settings.check({**TOKEN_ONLY, name: value})
        except SettingsError as error:
            problems.append(str(error))
        assert all(name in text for text in problems)


class TestToken:
    def test_is_needed_outside_the_demo(self) -> None:
        text = problem({})
        assert "api_token is missing" in text
        assert "https://demo.invalid" in text

    def test_is_not_needed_for_the_demo(self) -> None:
        assert Settings.check(DEMO).api_token is None

    def test_loses_the_spaces_around_it(self) -> None:
        assert Settings.check({"api_token": f" {BEARER}\n"}).api_token == BEARER

    def test_of_spaces_only_is_missing(self) -> None:
        assert "api_token is missing" in problem({"api_token": "  "})

    @pytest.mark.parametrize("bad", [f"{BEARER} x", f"{BEARER}\nx", f"{BEARER}ü", [BEARER]])
    def test_is_never_echoed(self, bad: Any) -> None:
        assert BEARER not in problem({"api_token": bad})

    def test_is_not_echoed_beside_other_problems(self) -> None:
        assert BEARER not in problem({**TOKEN_ONLY, "rate_limit": 0})

    @pytest.mark.parametrize("userinfo", ["user:pass-word", ":pass-word"])
    def test_in_the_address_is_refused_and_not_echoed(self, userinfo: str) -> None:
        text = problem({**TOKEN_ONLY, "base_url": f"https://{userinfo}@sentry.example.com"})
        assert "base_url" in text
        assert "pass-word" not in text


class TestPersonalData:
    KEY = "0123456789abcdef"

    @pytest.mark.parametrize("choice", ["keep", "hash", "drop"])
    def test_may_be_handled_in_three_ways(self, choice: str) -> None:
        found = Settings.check({**TOKEN_ONLY, "mask_pii": f" {choice} ", "pii_hash_key": self.KEY})
        assert found.mask_pii == choice

    def test_of_any_other_way_names_all_three(self) -> None:
        text = problem({**TOKEN_ONLY, "mask_pii": "mask"})
        assert "mask_pii is 'mask': it must be one of keep, hash, drop" in text

    @pytest.mark.parametrize("key", [None, "", "   ", "0123456789abcde"])
    def test_is_hashed_only_with_a_long_key(self, key: str | None) -> None:
        text = problem({**TOKEN_ONLY, "mask_pii": "hash", "pii_hash_key": key})
        assert "pii_hash_key, a random text of 16 letters or more" in text
        assert "0123" not in text

    def test_is_hashed_with_a_key_of_sixteen_letters(self) -> None:
        found = Settings.check({**TOKEN_ONLY, "mask_pii": "hash", "pii_hash_key": self.KEY})
        assert (found.mask_pii, found.pii_hash_key) == ("hash", self.KEY)

    @pytest.mark.parametrize("choice", ["keep", "drop"])
    def test_needs_no_key_otherwise(self, choice: str) -> None:
        found = Settings.check({**TOKEN_ONLY, "mask_pii": choice})
        assert found.pii_hash_key is None

    @pytest.mark.parametrize("bad", [f"{KEY} x", f"{KEY}\nx", f"{KEY}ü", [KEY]])
    def test_key_is_never_echoed(self, bad: Any) -> None:
        assert self.KEY not in problem({**TOKEN_ONLY, "pii_hash_key": bad, "rate_limit": 0})


class TestSpanAttributes:
    def test_keep_their_order_and_come_once_each(self) -> None:
        names = ["user.email", " tags[cart.items,number]", "browser.name", "user.email", ""]
        found = Settings.check({**TOKEN_ONLY, "span_attributes": names})
        assert found.span_attributes == ("user.email", "tags[cart.items,number]", "browser.name")

    def test_may_hold_a_comma_where_the_list_was_cut_at_each_one(self) -> None:
        # The SDK cuts TAP_SENTRY_SPAN_ATTRIBUTES=a,tags[b,number],c at every comma.
        names = ["a", "tags[b", "number]", "c"]
        found = Settings.check({**TOKEN_ONLY, "span_attributes": names})
        assert found.span_attributes == ("a", "tags[b,number]", "c")

    @pytest.mark.parametrize("given", [None, [], [""]])
    def test_are_none_by_default(self, given: Any) -> None:
        assert Settings.check({**TOKEN_ONLY, "span_attributes": given}).span_attributes == ()


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("given", "root"),
        [
            ("https://sentry.io", "https://sentry.io/api/0"),
            ("https://sentry.io/", "https://sentry.io/api/0"),
            ("https://sentry.io/api/0", "https://sentry.io/api/0"),
            ("https://sentry.io/api/0/", "https://sentry.io/api/0"),
            (" https://de.sentry.io/api/0// ", "https://de.sentry.io/api/0"),
            ("http://localhost:9000", "http://localhost:9000/api/0"),
            ("https://example.com/sentry", "https://example.com/sentry/api/0"),
            ("https://example.com/sentry/", "https://example.com/sentry/api/0"),
            ("https://example.com/sentry/api/0/", "https://example.com/sentry/api/0"),
        ],
    )
    def test_comes_with_or_without_the_api_part(self, given: str, root: str) -> None:
        assert Settings.check({**TOKEN_ONLY, "base_url": given}).api_root == root

    def test_is_sentry_io_by_default(self) -> None:
        assert Settings.check(TOKEN_ONLY).api_root == "https://sentry.io/api/0"

    @pytest.mark.parametrize(
        ("url", "is_demo"),
        [
            ("https://demo.invalid", True),
            ("https://demo.invalid/api/0/", True),
            ("https://demo.invalid.example.com", False),
            ("https://example.com/demo.invalid", False),
        ],
    )
    def test_alone_makes_the_demo(self, url: str, *, is_demo: bool) -> None:
        assert Settings.check({**TOKEN_ONLY, "base_url": url}).is_demo is is_demo


class TestValues:
    def test_have_their_defaults(self) -> None:
        found = Settings.check(TOKEN_ONLY)
        assert (found.organization, found.start_date, found.end_date) == (None, None, None)
        assert found.projects == found.exclude_projects == frozenset()
        assert (found.rate_limit, found.max_concurrency) == (10, 8)
        assert found.request_timeout_seconds == 60
        assert (found.lookback_minutes, found.release_lookback_days) == (60, 30)
        assert found.retention_days == 90
        assert (found.sample_fraction, found.max_events_per_project) == (None, None)
        assert (found.min_events_per_issue, found.max_events_per_issue) == (5, None)
        assert found.fetch_event_details is False
        assert (found.span_attributes, found.issues_full_pass_hours) == ((), 24)
        assert (found.mask_pii, found.pii_hash_key) == ("keep", None)
        assert found.keep_unknown_fields is False

    @pytest.mark.parametrize("empty", ["", None])
    def test_that_are_empty_are_as_if_left_out(self, empty: str | None) -> None:
        config = {**dict.fromkeys((setting.name for setting in SETTINGS), empty), **TOKEN_ONLY}
        assert Settings.check(config) == Settings.check(TOKEN_ONLY)

    def test_may_be_numbers_as_text(self) -> None:
        config = {"rate_limit": "2.5", "max_concurrency": "4", "sample_fraction": "0.25"}
        found = Settings.check({**TOKEN_ONLY, **config})
        assert (found.rate_limit, found.max_concurrency, found.sample_fraction) == (2.5, 4, 0.25)

    def test_that_count_are_whole_numbers(self) -> None:
        found = Settings.check({**TOKEN_ONLY, "max_events_per_issue": 3.0})
        assert isinstance(found.max_events_per_issue, int)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("sample_fraction", 1),
            ("max_concurrency", 1),
            ("max_concurrency", 100),
            ("min_events_per_issue", 0),
            ("max_events_per_issue", 1),
            ("lookback_minutes", 0),
            ("issues_full_pass_hours", 0),
            ("issues_full_pass_hours", 87_600),
        ],
    )
    def test_may_lie_on_their_bounds(self, name: str, value: int) -> None:
        assert getattr(Settings.check({**TOKEN_ONLY, name: value}), name) == value

    def test_of_dates_are_utc(self) -> None:
        found = Settings.check({**TOKEN_ONLY, "start_date": "2026-10-01T02:00:00+02:00"})
        assert found.start_date == datetime(2026, 10, 1, tzinfo=timezone.utc)
        assert found.start_date.tzinfo is timezone.utc

    def test_of_projects_may_be_slugs_and_ids(self) -> None:
        found = Settings.check({**TOKEN_ONLY, "projects": ["web", 42]})
        assert found.projects == {"web", "42"}

    @pytest.mark.parametrize("given", [[""], ["", " "], []])
    def test_of_projects_that_are_empty_mean_all(self, given: list[str]) -> None:
        # `TAP_SENTRY_PROJECTS=` in .env reaches the tap as [""].
        assert Settings.check({**TOKEN_ONLY, "projects": given}).projects == frozenset()

    def test_of_projects_lose_the_spaces_around_them(self) -> None:
        # `TAP_SENTRY_PROJECTS=web, api` reaches the tap as ["web", " api"].
        found = Settings.check({**TOKEN_ONLY, "projects": ["web", " api"]})
        assert found.projects == {"web", "api"}

    @pytest.mark.parametrize("end", ["2026-10-01", "2026-09-30T23:59:59Z"])
    def test_of_end_date_lie_after_start_date(self, end: str) -> None:
        text = problem({**TOKEN_ONLY, "start_date": "2026-10-01", "end_date": end})
        assert "end_date must be later than start_date" in text

    def test_that_nobody_knows_are_ignored(self) -> None:
        # The SDK adds settings of its own, such as stream_maps.
        assert Settings.check({**TOKEN_ONLY, "stream_maps": {}}) == Settings.check(TOKEN_ONLY)


class TestJsonSchema:
    def test_is_valid(self) -> None:
        jsonschema.Draft7Validator.check_schema(config_jsonschema())

    def test_names_every_setting_with_a_sentence(self) -> None:
        properties = config_jsonschema()["properties"]
        assert list(properties) == [setting.name for setting in SETTINGS]
        assert all(entry["description"].endswith(".") for entry in properties.values())

    def test_marks_token_and_key_as_secret_and_nothing_else(self) -> None:
        secret = [n for n, e in config_jsonschema()["properties"].items() if e.get("secret")]
        assert secret == ["api_token", "pii_hash_key"]

    def test_has_defaults_that_pass_the_check(self) -> None:
        properties = config_jsonschema()["properties"]
        defaults = {n: e["default"] for n, e in properties.items() if "default" in e}
        assert Settings.check({**TOKEN_ONLY, **defaults}) == Settings.check(TOKEN_ONLY)
        jsonschema.validate(defaults, config_jsonschema())

    @pytest.mark.parametrize(
        "config",
        [
            {"rate_limit": "10", "max_concurrency": "4"},  # as the environment gives them
            {"rate_limit": 10, "projects": ["web"], "fetch_event_details": True},
            {setting.name: None for setting in SETTINGS},
        ],
    )
    def test_lets_through_what_the_check_lets_through(self, config: dict[str, Any]) -> None:
        jsonschema.validate(config, config_jsonschema())
        Settings.check({**config, **TOKEN_ONLY})
