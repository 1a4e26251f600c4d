"""Numbers for people: money in its own currency, durations, shares. What is unknown is a dash."""

from __future__ import annotations

import math

from orchestrate.analyzer.report import Metric, Unit

UNKNOWN = "–"  # noqa: RUF001
# Dollars are told apart, as CLDR's locale `en` does: https://cldr.unicode.org
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "AUD": "A$"}


def metric(found: Metric, currency: str | None) -> str:
    """A metric's value, with the bounds it lies in where they are known."""
    text = value(found.value, found.unit, currency)
    if found.low is None or found.high is None:
        return text
    low, high = value(found.low, found.unit, currency), value(found.high, found.unit, currency)
    return f"{text} ({low} to {high})"


def value(number: float | str | None, unit: Unit, currency: str | None = None) -> str:
    """A number as its unit is written.

    Args:
        number: Of counts, shares (0..1), seconds or an amount of money.
        unit: What it counts in.
        currency: Of money, one of SYMBOLS.
    """
    if isinstance(number, str):
        return number
    if number is None or not math.isfinite(number):
        return UNKNOWN
    if unit is Unit.SHARE:
        return share(number)
    if unit is Unit.SECONDS:
        return duration(number)
    if unit is Unit.MONEY:
        return money(number, currency or "USD")
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.2f}"


def share(number: float) -> str:
    """Such as `12.5 %`: one digit behind the point, unless there is none to tell."""
    percent = f"{number * 100:.1f}"
    return f"{percent.removesuffix('.0')} %"


def duration(seconds: float) -> str:
    """Such as `0.42 s`, `12.3 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 59.95:
        return f"{sign}{seconds:.2f} s" if seconds < 9.995 else f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    for unit, inner, size, inner_size in (
        ("d", "h", 86_400, 3_600),
        ("h", "min", 3_600, 60),
        ("min", "s", 60, 1),
    ):
        if whole >= size:
            rest = whole % size // inner_size
            return f"{sign}{whole // size} {unit}" + (f" {rest} {inner}" if rest else "")
    return f"{sign}{whole} s"


def money(amount: float, currency: str) -> str:
    """An amount in its currency; small ones with the digits that they need."""
    digits = 2 if amount == 0 or abs(amount) >= 1 else 4
    sign = "-" if amount < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{abs(amount):,.{digits}f}"
