"""Rates: prices of seconds and requests, worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrate.analyzer import choice as choices
from orchestrate.analyzer import formats, money
from orchestrate.analyzer.choice import choose


def seconds(*values: float) -> pd.Series:
    return pd.Series(values, dtype="float64")


class TestRates:
    def test_price_dbt_by_the_machine_where_no_warehouse_is_chosen(self) -> None:
        # 7.20 an hour is 0.002 a second.
        rates = money.rates(choose({"machine_hour": "7.2"}))
        assert [rates.machine, rates.dbt] == pytest.approx([0.002, 0.002])
        assert not rates.has_minimum

    def test_price_dbt_by_the_warehouse_that_is_chosen(self) -> None:
        # Medium takes 4 credits an hour, at 1.80 each: 7.20 an hour, 0.002 a second.
        choice = choose({"machine_hour": "0.36", "warehouse_size": "Medium", "credit": "1.8"})
        rates = money.rates(choice)
        assert rates.machine == pytest.approx(0.0001)
        assert rates.dbt == pytest.approx(0.002)
        assert rates.has_minimum

    def test_price_requests_by_the_thousand(self) -> None:
        assert money.rates(choose({"request_price": "5"})).request == pytest.approx(0.005)

    def test_are_nothing_where_prices_are(self) -> None:
        rates = money.rates(choose({"machine_hour": "0"}))
        assert (rates.machine, rates.dbt, rates.request) == (0.0, 0.0, 0.0)


class TestWarehouses:
    def test_have_a_price_for_each_size_that_can_be_chosen(self) -> None:
        assert tuple(money.CREDITS_PER_HOUR) == choices.values("warehouse_size")[:8]

    def test_double_from_size_to_size(self) -> None:
        assert list(money.CREDITS_PER_HOUR.values()) == [1, 2, 4, 8, 16, 32, 64, 128]

    def test_are_billed_for_a_minute_at_least_and_then_by_the_second(self) -> None:
        assert money.billed(seconds(0, 0.5, 60, 61.5)).tolist() == [0, 60, 60, 61.5]

    def test_spare_nothing_within_the_minute_that_is_billed_anyhow(self) -> None:
        rates = money.rates(choose({"warehouse_size": "X-Small", "credit": "3.6"}))
        # 0.001 a second: 10 s more in a minute, 10 s more over its end, 10 s more where it slept.
        added = rates.added(seconds(20, 55, 0), seconds(10, 10, 10))
        assert added.tolist() == pytest.approx([0.0, 0.005, 0.060])

    def test_spare_every_second_on_a_machine(self) -> None:
        rates = money.rates(choose({"machine_hour": "3.6"}))
        assert rates.added(seconds(20), seconds(10)).tolist() == pytest.approx([0.010])


class TestCurrencies:
    @pytest.mark.parametrize(
        ("currency", "text"),
        [
            ("USD", "$1,234.50"),
            ("EUR", "€1,234.50"),
            ("GBP", "£1,234.50"),
            ("CAD", "CA$1,234.50"),
            ("AUD", "A$1,234.50"),
        ],
    )
    def test_have_their_own_sign(self, currency: str, text: str) -> None:
        assert formats.money(1234.5, currency) == text

    def test_are_all_that_can_be_chosen(self) -> None:
        assert set(choices.values("currency")) == set(formats.SYMBOLS)
