"""A request and its answer, whichever transport carries them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

Trouble = Literal["", "reset", "cut", "stall"]


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        base: Scheme and host the client used, for the links in answers.
        path: As sent, percent-encoding included.
        query: Pairs in the order sent; names may repeat.
    """

    method: str
    base: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    token: str | None = None

    @classmethod
    def from_url(cls, method: str, url: str, authorization: str | None) -> Request:
        parts = urlsplit(url)
        scheme, _, token = (authorization or "").partition(" ")
        return cls(
            method=method,
            base=f"{parts.scheme}://{parts.netloc}",
            path=parts.path,
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            token=token.strip() if scheme.lower() == "bearer" and token.strip() else None,
        )

    @property
    def segments(self) -> list[str]:
        """The path's parts, decoded one by one: a version may hold an encoded slash."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def get(self, name: str) -> str | None:
        """The last value of a parameter, as Django reads it."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]

    def flag(self, name: str) -> bool:
        return (self.get(name) or "").lower() in {"1", "true"}

    def url_without_cursor(self) -> str:
        kept = urlencode([pair for pair in self.query if pair[0] != "cursor"])
        return f"{self.base}{self.path}?{kept}"


@dataclass(frozen=True)
class Links:
    """The two cursors of a Link header; `asked` stands for the page itself."""

    asked: str
    previous: str
    has_previous: bool
    next: str
    has_next: bool

    def header(self, url: str) -> str:
        """Both entries, always previous then next; only `results` tells whether there is more."""
        return ", ".join(
            f'<{url}&cursor={cursor}>; rel="{rel}"; results="{str(results).lower()}"; '
            f'cursor="{cursor}"'
            for rel, cursor, results in (
                ("previous", self.previous, self.has_previous),
                ("next", self.next, self.has_next),
            )
        )


@dataclass
class Answer:
    """What goes back. `body` is JSON data unless `content_type` says otherwise (then text).

    Attributes:
        trouble: What the transport does to it: closes without a word, cuts the body, never ends.
        delay_s: How long the transport waits before it sends.
    """

    status: int = 200
    body: Any = None
    links: Links | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    trouble: Trouble = ""
    delay_s: float = 0.0

    def content(self) -> bytes:
        if self.content_type != "application/json":
            return str(self.body).encode()
        return json.dumps(self.body, separators=(",", ":")).encode()


class ApiError(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.answer = Answer(status, body, headers=headers or {})


def bad_request(detail: str) -> ApiError:
    return ApiError(400, {"detail": detail})


def not_found() -> ApiError:
    return ApiError(404, {"detail": "The requested resource does not exist"})


def forbidden(*scopes: str) -> ApiError:
    wanted = f'Bearer realm="api", error="insufficient_scope", scope="{" ".join(scopes)}"'
    detail = {"detail": "You do not have permission to perform this action."}
    return ApiError(403, detail, {"WWW-Authenticate": wanted} if scopes else None)


def unauthorized(detail: str) -> ApiError:
    headers = {"WWW-Authenticate": 'xBasic realm="api"'}
    return ApiError(401, {"detail": detail}, headers)
