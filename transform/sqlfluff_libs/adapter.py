"""Stands in for dbt's adapter: a macro that warehouses differ in becomes a call of its name."""

from __future__ import annotations

from collections.abc import Callable


def dispatch(name: str) -> Callable[..., str]:
    """What a dispatched macro gives: `name(first argument)`, an expression like any other."""
    return lambda first, *_rest, **_named: f"{name}({first})"
