"""Sentry's cursors: row offset, page number, score, and page token.

Three are `<value>:<offset>:<is_prev>`; clients should treat all as opaque.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tap_sentry.demo.exchange import Links, Request, bad_request

Row = TypeVar("Row")
MAX_PER_PAGE = 100


class Cursor(NamedTuple):
    value: int
    offset: int
    is_previous: bool = False

    def __str__(self) -> str:
        return f"{self.value}:{self.offset}:{int(self.is_previous)}"


def per_page(request: Request, default: int = MAX_PER_PAGE) -> int:
    """The page size that was asked for; out of 1..100 is an error, not clamped."""
    asked = request.get("per_page")
    if asked is None:
        return default
    try:
        size = int(asked)
    except ValueError:
        raise bad_request("Invalid per_page parameter.") from None
    if not 1 <= size <= MAX_PER_PAGE:
        raise bad_request("Invalid per_page value. Must be between 1 and 100.")
    return size


def limit(request: Request) -> int:
    """The page size of issue lists; more than 100 is clamped."""
    try:
        size = int(request.get("limit") or MAX_PER_PAGE)
    except ValueError:
        raise bad_request("Invalid limit parameter.") from None
    if size < 1:
        raise bad_request("Limit must be greater than 0.")
    return min(size, MAX_PER_PAGE)


def cursor(request: Request) -> Cursor | None:
    """The cursor that was sent, None on a first page."""
    text = request.get("cursor")
    if not text:
        return None
    try:
        value, offset, is_previous = (int(part) for part in text.split(":"))
    except ValueError:
        raise bad_request("Invalid cursor parameter.") from None
    if is_previous not in {0, 1}:
        raise bad_request("Invalid cursor parameter.")
    return Cursor(value, offset, bool(is_previous))


def by_offset(request: Request, rows: Sequence[Row], size: int) -> tuple[Sequence[Row], Links]:
    """A page by absolute row offset: Explore, events of projects and issues."""
    asked = cursor(request) or Cursor(0, 0)
    if asked.offset < 0:
        raise bad_request("Pagination offset cannot be negative")
    start = asked.offset
    links = Links(
        asked=str(asked),
        previous=str(Cursor(0, max(0, start - size), True)),
        has_previous=start > 0,
        next=str(Cursor(0, start + size)),
        has_next=start + size < len(rows),
    )
    return rows[start : start + size], links


def by_page(request: Request, rows: Sequence[Row], size: int) -> tuple[Sequence[Row], Links]:
    """A page by number: projects, teams, members, releases, deploys."""
    asked = cursor(request) or Cursor(size, 0)
    if asked.offset < 0 or asked.value < 0:
        raise bad_request("Pagination offset cannot be negative")
    start = asked.offset * asked.value
    links = Links(
        asked=str(asked),
        previous=str(Cursor(size, asked.offset - 1, True)),
        has_previous=asked.offset > 0,
        next=str(Cursor(size, asked.offset + 1)),
        has_next=start + size < len(rows),
    )
    return rows[start : start + size], links


def by_score(
    request: Request, rows: Sequence[Row], size: int, score: Callable[[Row], int]
) -> tuple[Sequence[Row], Links]:
    """A page of rows in descending score: the cursor names the next score and the ties before.

    Rows whose score grows while a client pages move to the front and are not met again.
    """
    keys = [-score(row) for row in rows]
    asked = cursor(request)
    start = 0
    if asked is not None:
        if asked.offset < 0:
            raise bad_request("Pagination offset cannot be negative")
        start = bisect_left(keys, -asked.value) + asked.offset
        if asked.is_previous:
            start = max(0, start - size)
    return rows[start : start + size], Links(
        asked=str(asked or _at(keys, 0)),
        previous=str(_at(keys, start)._replace(is_previous=True)),
        has_previous=start > 0,
        next=str(_at(keys, start + size)),
        has_next=start + size < len(rows),
    )


def _at(keys: Sequence[int], position: int) -> Cursor:
    if not keys:
        return Cursor(0, 0)
    if position >= len(keys):
        return Cursor(-keys[-1], len(keys) - bisect_left(keys, keys[-1]))
    return Cursor(-keys[position], position - bisect_left(keys, keys[position]))
