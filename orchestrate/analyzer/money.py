"""What seconds and requests cost, in the currency that the prices are in; none is converted."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from orchestrate.analyzer.choice import Choice

HOUR_SECONDS = 3600.0
# Of Snowflake's standard warehouses of the first generation, one cluster each.
# https://docs.snowflake.com/en/user-guide/warehouses-overview
CREDITS_PER_HOUR = {
    "X-Small": 1,
    "Small": 2,
    "Medium": 4,
    "Large": 8,
    "X-Large": 16,
    "2X-Large": 32,
    "3X-Large": 64,
    "4X-Large": 128,
}
# Billed by the second, but so many each time that a warehouse resumes.
# https://docs.snowflake.com/en/user-guide/cost-understanding-compute
MINIMUM_SECONDS = 60.0


@dataclass(frozen=True)
class Rates:
    """Prices of a second of the machine, of a second in which dbt's nodes run, of a request.

    `has_minimum` where dbt's seconds are a warehouse's, of which at least a minute is billed.
    """

    machine: float
    dbt: float
    request: float
    has_minimum: bool

    def added(self, busy_seconds: pd.Series, more_seconds: pd.Series) -> pd.Series:
        """What more seconds of dbt would have cost, beside those that were busy."""
        if not self.has_minimum:
            return more_seconds * self.dbt
        return (billed(busy_seconds + more_seconds) - billed(busy_seconds)) * self.dbt


def rates(choice: Choice) -> Rates:
    """The prices of a choice: dbt's time is the machine's, or that of the warehouse chosen."""
    machine = choice.machine_hour / HOUR_SECONDS
    size = choice.warehouse_size
    return Rates(
        machine=machine,
        dbt=warehouse_second(size, choice.credit) if size else machine,
        request=choice.request_price / 1000,
        has_minimum=bool(size),
    )


def warehouse_second(size: str, credit: float) -> float:
    """The price of a second of a warehouse of a size, by the price of a credit."""
    return CREDITS_PER_HOUR[size] * credit / HOUR_SECONDS


def billed(busy_seconds: pd.Series) -> pd.Series:
    """The seconds that are billed for each time that a warehouse resumes; none where it slept."""
    return busy_seconds.clip(lower=MINIMUM_SECONDS).where(busy_seconds > 0, 0.0)
