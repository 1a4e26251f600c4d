"""What an answer of Sentry's holds: rows, the cursor of the next page, or words of refusal."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import requests

from tap_sentry.errors import NotAvailable, SentryUnavailable, UnexpectedAnswer
from tap_sentry.records import Row


@dataclass(frozen=True)
class Answer:
    """One page: its rows, and where Sentry sends them the rest of the body and the headers.

    `size` is the length of the body in bytes.
    """

    rows: list[Row]
    body: Any
    headers: requests.structures.CaseInsensitiveDict[str]
    next_cursor: str | None
    size: int

    @classmethod
    def of(cls, path: str, response: requests.Response) -> Answer:
        """What a response with status 200 holds.

        Raises:
            NotAvailable: If it is a web page.
            SentryUnavailable: If its body was cut.
            UnexpectedAnswer: If it is JSON, but no rows, or names no cursor for its next page.
        """
        try:
            body = _decoded(response.content)
        except ValueError:
            if "html" in response.headers.get("Content-Type", ""):
                # GlitchTip answers unknown paths with its front page.
                raise NotAvailable(
                    f"GET {path} answered with a web page: not an API path"
                ) from None
            raise SentryUnavailable(
                f"GET {path} answered with a broken body", reason="broken body"
            ) from None
        rows = body
        if isinstance(body, dict):
            rows = body["data"] if isinstance(body.get("data"), list) else [body]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UnexpectedAnswer(f"GET {path} answered with JSON that is no list of rows")
        # Sentry always sends rel="next"; results="false" marks the end.
        cursor = _next_cursor(path, response.headers.get("Link", ""))
        return cls(rows, body, response.headers, cursor, len(response.content))


def refusal(response: requests.Response) -> str:
    """Sentry's own words on a wrong request; they speak of parameters, never of anyone's data."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(detail.split())[:200] if isinstance(detail, str) else ""


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        # Texts cut inside a surrogate pair: no JSON writer takes the half that is left.
        whole = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(whole)


def _next_cursor(path: str, link: str) -> str | None:
    # Not `response.links`: requests drops values that hold `=`, as GlitchTip's cursors do.
    for entry in re.split(r",\s*(?=<)", link):
        values = dict(re.findall(r';\s*(\w+)="([^"]*)"', entry))
        if values.get("rel") == "next" and values.get("results") == "true":
            if not values.get("cursor"):
                raise UnexpectedAnswer(f"GET {path} promised another page without its cursor")
            return str(values["cursor"])
    return None
