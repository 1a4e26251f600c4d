"""The SDK's own tests of a tap, run on the demo: schemas, keys, types, nulls."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_sentry.tap import TapSentry

CONFIG: dict[str, Any] = {
    "base_url": "https://demo.invalid",
    "rate_limit": 1000,
    "projects": ["batch-worker", "storefront"],  # together they have something of each stream
    "start_date": (datetime.now(timezone.utc) - timedelta(days=10)).isoformat(),
    "fetch_event_details": True,
}


def everything() -> dict[str, Any]:
    """A catalog that selects the streams too that are not selected by default."""
    catalog: dict[str, Any] = TapSentry(config=CONFIG).catalog_dict
    for stream in catalog["streams"]:
        (root,) = (entry for entry in stream["metadata"] if not entry["breadcrumb"])
        root["metadata"]["selected"] = True
    return catalog


TestTapSentry = get_tap_test_class(
    TapSentry,
    config=CONFIG,
    suite_config=SuiteConfig(max_records_limit=100),
    catalog=everything(),
)
