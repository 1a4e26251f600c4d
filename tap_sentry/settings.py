"""The tap's settings: one table, the JSON Schema made from it, and their checked values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tap_sentry import timestamps
from tap_sentry.errors import SettingsError

DEMO_HOST = "demo.invalid"
ENVIRONMENT_PREFIX = "TAP_SENTRY_"
_SHORTEST_KEY = 16


class Setting(NamedTuple):
    """One row of the table. `low` and `high` bound numbers; `above_zero` leaves out 0 itself.

    `choices` are all the texts that a setting may be.
    """

    name: str
    type: str
    default: Any
    description: str
    low: float = 0
    high: float = math.inf
    above_zero: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()


SETTINGS = (
    Setting(
        "api_token",
        "string",
        None,
        "Token of a Sentry internal integration or user, with the scopes org:read project:read "
        "event:read member:read team:read. Not needed for the demo.",
        secret=True,
    ),
    Setting(
        "organization",
        "string",
        None,
        "Slug of the organization. May be left out when the token sees exactly one.",
    ),
    Setting(
        "base_url",
        "string",
        "https://sentry.io/api/0/",
        "Sentry's address, with or without /api/0/. https://demo.invalid is the built-in demo.",
    ),
    Setting(
        "start_date",
        "date-time",
        None,
        "Oldest data to read on the first run. Without it: all that Sentry still keeps.",
    ),
    Setting("end_date", "date-time", None, "Read nothing from here on. Without it: up to now."),
    Setting("projects", "array", None, "Slugs or ids of the projects to read. Without it: all."),
    Setting("exclude_projects", "array", None, "Slugs or ids of projects to leave out."),
    Setting(
        "rate_limit",
        "number",
        10,
        "Requests per second of the whole tap, evenly spaced. Sentry's own limits hold as well.",
        above_zero=True,
    ),
    Setting("max_concurrency", "integer", 8, "Requests under way at once.", low=1, high=100),
    Setting(
        "request_timeout_seconds",
        "number",
        60,
        "How long one request may take before it is tried again.",
        high=3600,
        above_zero=True,
    ),
    Setting(
        "lookback_minutes",
        "number",
        60,
        "How far before the last bookmark to read again, for rows that reached Sentry late.",
        high=525_600,
    ),
    Setting(
        "release_lookback_days",
        "number",
        30,
        "How far before the newest release the stream `releases` lists again, for what changed.",
        high=36_500,
    ),
    Setting(
        "retention_days",
        "number",
        90,
        "How long Sentry keeps events: nothing older is asked for. 30 on the Developer plan.",
        high=36_500,
        above_zero=True,
    ),
    Setting(
        "sample_fraction",
        "number",
        None,
        "Share of events and traces to keep, 0 to 1. The same ones in every run.",
        high=1,
        above_zero=True,
    ),
    Setting(
        "max_events_per_project",
        "integer",
        None,
        "At most this many events of a project per run. Wins over min_events_per_issue.",
        low=1,
    ),
    Setting(
        "min_events_per_issue",
        "integer",
        5,
        "Keep at least this many events of an issue per run. Acts only when sampling.",
    ),
    Setting(
        "max_events_per_issue",
        "integer",
        None,
        "Keep at most this many events of an issue per run: 100 when sampling by "
        "sample_fraction, otherwise only if set. Wins over min_events_per_issue.",
        low=1,
    ),
    Setting(
        "fetch_event_details",
        "boolean",
        False,
        "Read whole event bodies (stack traces, breadcrumbs, request). Ten times the requests.",
    ),
    Setting(
        "span_attributes",
        "array",
        None,
        "Further fields of spans, such as user.email or tags[cart.items,number]; they go into the "
        "column attributes. Each 16 of them cost as many requests as all other columns together.",
    ),
    Setting(
        "issues_full_pass_hours",
        "number",
        24,
        "How often at most all issues are read again, for changes of status without new events.",
        high=87_600,
    ),
    Setting(
        "mask_pii",
        "string",
        "keep",
        "What happens to personal data: keep, hash (the same person stays the same) or drop.",
        choices=("keep", "hash", "drop"),
    ),
    Setting(
        "pii_hash_key",
        "string",
        None,
        "Key for mask_pii=hash, 16 letters or more. Another key gives other hashes.",
        secret=True,
    ),
    Setting(
        "keep_unknown_fields",
        "boolean",
        False,
        "Keep fields that Sentry sends and the tap does not know, in the column unknown_fields.",
    ),
)

_JSON_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": ["string", "null"]},
    "date-time": {"type": ["string", "null"], "format": "date-time"},
    "array": {"type": ["array", "null"], "items": {"type": "string"}},
    # The SDK hands numbers from the environment over as text.
    "number": {"type": ["number", "string", "null"]},
    "integer": {"type": ["number", "string", "null"]},
    "boolean": {"type": ["boolean", "null"]},
}


def config_jsonschema() -> dict[str, Any]:
    """The table as JSON Schema: types and defaults. Bounds are checked by `Settings.check`."""
    properties = {}
    for setting in SETTINGS:
        entry = {**_JSON_TYPES[setting.type], "description": setting.description}
        if setting.default is not None:
            entry["default"] = setting.default
        if setting.secret:
            entry |= {"secret": True, "writeOnly": True}
        properties[setting.name] = entry
    return {"type": "object", "properties": properties}


@dataclass(frozen=True)
class Settings:
    """Checked values. `api_root` ends in `/api/0`; times are UTC; rates are per second."""

    api_token: str | None
    organization: str | None
    api_root: str
    start_date: datetime | None
    end_date: datetime | None
    projects: frozenset[str]
    exclude_projects: frozenset[str]
    rate_limit: float
    max_concurrency: int
    request_timeout_seconds: float
    lookback_minutes: float
    release_lookback_days: float
    retention_days: float
    sample_fraction: float | None
    max_events_per_project: int | None
    min_events_per_issue: int
    max_events_per_issue: int | None
    fetch_event_details: bool
    span_attributes: tuple[str, ...]
    issues_full_pass_hours: float
    mask_pii: str
    pii_hash_key: str | None
    keep_unknown_fields: bool

    @property
    def is_demo(self) -> bool:
        return urlsplit(self.api_root).hostname == DEMO_HOST

    @classmethod
    def check(cls, config: Mapping[str, Any]) -> Settings:
        """The settings of a tap's configuration.

        Raises:
            SettingsError: Naming every wrong setting, what is wrong and what it may be.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            value = config.get(setting.name)
            if value is None or value == "":
                value = setting.default
            try:
                values[setting.name] = None if value is None else _checked(setting, value)
            except ValueError as problem:
                problems.append(f"{setting.name} {problem}")
        if not problems:
            problems = _contradictions(values)
        if problems:
            raise SettingsError(
                f"Wrong settings: {'; '.join(problems)}. "
                f"Set them as {ENVIRONMENT_PREFIX}<NAME> or in the tap's configuration."
            )
        values["api_root"] = values.pop("base_url")
        for name in ("projects", "exclude_projects"):
            values[name] = frozenset(values[name] or ())
        # The SDK cuts what stands in the environment at every comma, tags[price,number] as well.
        attributes = re.findall(r"(?:\[[^\]]*\]|[^,])+", ",".join(values["span_attributes"] or ()))
        values["span_attributes"] = tuple(dict.fromkeys(attributes))
        return cls(**values)


def _checked(setting: Setting, value: Any) -> Any:
    """The value in its own type. The message of a ValueError follows the setting's name."""
    checked = _CHECKS[setting.type](setting, value)
    if setting.name == "base_url":
        return _api_root(checked)
    if setting.choices and checked not in setting.choices:
        raise ValueError(f"is {checked!r}: it must be one of {', '.join(setting.choices)}")
    if setting.secret and (any(c.isspace() for c in checked) or not checked.isascii()):
        raise ValueError("holds a space, a line break or a letter outside of ASCII")
    return checked


def _text(_: Setting, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


def _instant(_: Setting, value: Any) -> datetime:
    try:
        return timestamps.parse(str(value))
    except ValueError:
        raise ValueError(f"is {value!r}: write a date such as 2026-10-01T00:00:00Z") from None


def _names(_: Setting, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, (str, int)) for name in value):
        raise ValueError('must be a list of texts, such as ["web", "api"]')
    return [name for name in (str(name).strip() for name in value) if name]


def _number(setting: Setting, value: Any) -> float:
    whole = setting.type == "integer"
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if whole and not number.is_integer():
        number = math.nan
    if not (setting.low <= number <= setting.high) or (setting.above_zero and number == 0):
        least = "above 0" if setting.above_zero else f"at least {setting.low:g}"
        most = f" and at most {setting.high:g}" if math.isfinite(setting.high) else ""
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"is {value!r}: it must be {kind} {least}{most}")
    return int(number) if whole else number


def _flag(_: Setting, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {value!r}: it must be true or false")
    return value


_CHECKS: dict[str, Callable[[Setting, Any], Any]] = {
    "string": _text,
    "date-time": _instant,
    "array": _names,
    "number": _number,
    "integer": _number,
    "boolean": _flag,
}


def _api_root(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if "@" in url:
        raise ValueError("holds a user or a password: leave them out")
    if not valid or not re.fullmatch(r"[^\s\\?#]+", url):
        raise ValueError(f"is {url!r}: write an address such as https://sentry.example.com")
    root = url.rstrip("/")
    return root if root.endswith("/api/0") else f"{root}/api/0"


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    problems = []
    if not values["api_token"] and urlsplit(values["base_url"]).hostname != DEMO_HOST:
        problems.append(
            "api_token is missing: create one in Sentry under Settings > Custom Integrations "
            f"(or try the demo with base_url https://{DEMO_HOST})"
        )
    if values["mask_pii"] == "hash" and len(values["pii_hash_key"] or "") < _SHORTEST_KEY:
        problems.append(
            f"mask_pii=hash needs pii_hash_key, a random text of {_SHORTEST_KEY} letters or more"
        )
    start, end = values["start_date"], values["end_date"]
    if start and end and start >= end:
        problems.append("end_date must be later than start_date")
    return problems
