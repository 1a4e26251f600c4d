"""Hypothesis the same way in every run, and with patience for busy machines."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
