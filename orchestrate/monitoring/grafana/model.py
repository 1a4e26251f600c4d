"""The nouns: a dashboard has rows, a row has panels, a panel asks queries.

Units are Grafana's: `s`, `percentunit` (0..1), `bytes`, `short` (a count), `none`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

# Colours by meaning, for everything that is watched.
GOOD, NOTICE, WARNING, CRITICAL = "green", "yellow", "orange", "red"
NEUTRAL = "blue"


class Source(str, enum.Enum):
    """Uid of a data source, as provisioning/datasources/datasources.yml has it."""

    PROMETHEUS = "prometheus"
    WAREHOUSE = "warehouse"


class Kind(str, enum.Enum):
    """What a panel looks like; Grafana's name of the panel plugin."""

    STAT = "stat"
    TIMESERIES = "timeseries"
    STATES = "state-timeline"
    TABLE = "table"
    BARS = "bargauge"


class Step(NamedTuple):
    """From this value on, this colour."""

    value: float
    color: str


class State(NamedTuple):
    """What is shown instead of a number."""

    value: int
    text: str
    color: str


class Query(NamedTuple):
    """PromQL or SQL, and what its series are called: {{label}} stands for the label's value.

    SQL for a time series has the columns `time`, labels if there are any, and one or more numbers.
    The DuckDB plugin knows no HUGEINT, which a sum of integers is: cast it.
    """

    text: str
    legend: str = ""
    source: Source = Source.PROMETHEUS


class Column(NamedTuple):
    """A column of a table.

    Its source is a label, a column of the SQL, or the letter of a PromQL query: A, B, C.
    """

    source: str
    title: str
    unit: str = "none"
    steps: tuple[Step, ...] = ()
    states: tuple[State, ...] = ()
    below: str = GOOD


class Panel(NamedTuple):
    """One question and its answer. Width in 24ths of the page, height in rows of 30 pixels."""

    kind: Kind
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    steps: tuple[Step, ...] = ()
    # The colour below the first step.
    below: str = GOOD
    states: tuple[State, ...] = ()
    columns: tuple[Column, ...] = ()
    # Title of the column that a table is sorted by, the greatest first; the first if it's empty.
    sort: str = ""
    ascending: bool = False
    stacked: bool = False
    # Bars, each of which stands for a span of time.
    bars: bool = False
    least_step: str = ""
    lowest: float | None = 0
    highest: float | None = None
    decimals: int | None = None
    # What is shown when there is nothing to show. Without it the panel must never be empty.
    when_empty: str = ""
    # Name of the dashboard that tells more.
    more: str = ""


class Row(NamedTuple):
    """A heading and the panels below it, laid out from left to right.

    An optional row is collapsed, and its panels may be empty: what they ask for is not part of the
    stack that is set up here.
    """

    title: str
    panels: tuple[Panel, ...]
    optional: bool = False


class Variable(NamedTuple):
    """A choice at the top of the page: the values of the label of that name."""

    name: str
    label: str
    metric: str
    many: bool = False


class Dashboard(NamedTuple):
    """One page. Its name is its file's and ends its uid; it never changes, since links have it."""

    name: str
    title: str
    description: str
    period: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


# Of all our dashboards; begins their uids too.
TAG = "tap-sentry"
# Any number but 0 is bad.
NONE_ALLOWED = (Step(1, CRITICAL),)
ENVIRONMENT = Variable("environment", "Environment", "tap_sentry_runs_total")
# In PromQL.
HERE = 'environment="$environment"'
