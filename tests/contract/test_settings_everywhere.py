"""A setting is the same wherever it stands, and every stream says what it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_sentry.about import is_default
from tap_sentry.settings import ENVIRONMENT_PREFIX, SETTINGS, Setting
from tap_sentry.streams import STREAMS, SentryStream
from tap_sentry.tap import TapSentry

ROOT = Path(__file__).parents[2]

KINDS = {
    "string": "string",
    "date-time": "date_iso8601",
    "array": "array",
    # Meltano 4.4 cannot hand a `decimal` from the environment on; the tap reads numbers from text.
    "number": "string",
    "integer": "integer",
    "boolean": "boolean",
}

# https://docs.sentry.io/api/permissions/
SCOPES = {
    "alerts:read",
    "event:read",
    "member:read",
    "org:read",
    "project:read",
    "project:releases",
    "team:read",
}

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
each_stream = pytest.mark.parametrize(
    "stream", STREAMS, ids=[vars(stream)["name"] for stream in STREAMS]
)


def meltano() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    return loaded


def extractor() -> dict[str, Any]:
    """The tap as meltano.yml knows it."""
    (found,) = meltano()["plugins"]["extractors"]
    assert found["name"] == "tap-sentry"
    tap: dict[str, Any] = found
    return tap


def in_meltano(setting: Setting) -> dict[str, Any]:
    """The setting as meltano.yml knows it."""
    (found,) = [entry for entry in extractor()["settings"] if entry["name"] == setting.name]
    entry: dict[str, Any] = found
    return entry


def one_line(text: str) -> str:
    return " ".join(text.split())


class TestMeltano:
    def test_knows_the_same_settings_in_the_same_order(self) -> None:
        names = [entry["name"] for entry in extractor()["settings"]]
        assert names == [setting.name for setting in SETTINGS]

    @each_setting
    def test_knows_their_kind(self, setting: Setting) -> None:
        assert in_meltano(setting)["kind"] == KINDS[setting.type]

    @each_setting
    def test_hides_secrets_and_nothing_else(self, setting: Setting) -> None:
        assert in_meltano(setting).get("sensitive", False) == setting.secret

    @each_setting
    def test_leaves_defaults_to_the_tap_or_repeats_them(self, setting: Setting) -> None:
        assert in_meltano(setting).get("value", setting.default) == setting.default

    @each_setting
    def test_says_the_same_of_them(self, setting: Setting) -> None:
        assert one_line(in_meltano(setting)["description"]) == setting.description

    def test_sets_only_what_exists(self) -> None:
        names = {setting.name for setting in SETTINGS}
        configured = [extractor().get("config", {})] + [
            plugin.get("config", {})
            for environment in meltano()["environments"]
            for plugin in environment.get("config", {}).get("plugins", {}).get("extractors", ())
            if plugin["name"] == "tap-sentry"
        ]
        assert {name for config in configured for name in config} <= names

    def test_starts_with_the_demo(self) -> None:
        (demo,) = [each for each in meltano()["environments"] if each["name"] == "demo"]
        (tap,) = demo["config"]["plugins"]["extractors"]
        assert meltano()["default_environment"] == "demo"
        assert tap["config"]["base_url"].startswith("https://demo.invalid")


class TestSelection:
    """The streams that are read when nobody chooses: in the code, the catalog and meltano.yml."""

    defaults = tuple(vars(stream)["name"] for stream in STREAMS if is_default(stream))

    def test_of_meltano_is_one_pattern_per_stream_that_the_tap_or_marts_ask_for(self) -> None:
        asked = {*self.defaults, "release_deploys", "release_health", "usage_outcomes"}
        names = [str(vars(stream)["name"]) for stream in STREAMS]
        assert extractor()["select"] == [f"{name}.*" for name in names if name in asked]

    def test_of_the_catalog_marks_the_same_ones(self) -> None:
        catalog = TapSentry(config={}, validate_config=False).catalog_dict
        marked = {
            stream["tap_stream_id"]: [
                (entry["metadata"]["selected-by-default"], entry["metadata"]["selected"])
                for entry in stream["metadata"]
                if not entry["breadcrumb"]
            ]
            for stream in catalog["streams"]
        }
        assert marked == {
            vars(stream)["name"]: [(is_default(stream), is_default(stream))] for stream in STREAMS
        }

    def test_leaves_some_out(self) -> None:
        assert 0 < len(self.defaults) < len(STREAMS)


class TestExampleOfEnvironment:
    def names(self) -> dict[str, str]:
        """Names and values, of lines that are commented out too."""
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        return dict(re.findall(r"^(?:# ?)?([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE))

    def test_names_only_settings_that_exist(self) -> None:
        known = {f"{ENVIRONMENT_PREFIX}{setting.name.upper()}" for setting in SETTINGS}
        assert self.names().keys() - {"MELTANO_ENVIRONMENT"} <= known

    def test_names_an_environment_that_exists(self) -> None:
        environments = [environment["name"] for environment in meltano()["environments"]]
        assert self.names()["MELTANO_ENVIRONMENT"] in environments

    def test_holds_no_secret(self) -> None:
        for setting in SETTINGS:
            if setting.secret:
                assert not self.names().get(f"{ENVIRONMENT_PREFIX}{setting.name.upper()}")


class TestStreams:
    @each_stream
    def test_need_a_scope_that_sentry_has(self, stream: type[SentryStream]) -> None:
        assert stream.scope in SCOPES

    @each_stream
    def test_name_their_page_of_sentrys_documentation(self, stream: type[SentryStream]) -> None:
        assert re.search(r"https://docs\.sentry\.io/api/\S+/\S+/", stream.__doc__ or "")

    @each_stream
    def test_have_their_scope_in_all_advice_on_tokens(self, stream: type[SentryStream]) -> None:
        (token,) = [setting for setting in SETTINGS if setting.name == "api_token"]
        assert stream.scope in token.description
        assert stream.scope in (ROOT / ".env.example").read_text(encoding="utf-8")
        assert stream.scope in (ROOT / "tap_sentry/client.py").read_text(encoding="utf-8")
