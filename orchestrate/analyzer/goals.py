"""What reuse and freshness should at least come to, on every page."""

REUSE_GOAL = 0.3
COVERAGE_GOAL = 0.8
