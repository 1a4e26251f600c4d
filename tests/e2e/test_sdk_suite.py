"""The SDK's own tests of a tap, run on the demo: schemas, keys, types, nulls."""

from __future__ import annotations

from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_sentry.tap import TapSentry

TestTapSentry = get_tap_test_class(
    TapSentry,
    config={
        "base_url": "https://demo.invalid",
        "rate_limit": 1000,
        "projects": ["payments"],
        "fetch_event_details": True,
    },
    suite_config=SuiteConfig(max_records_limit=100),
)
