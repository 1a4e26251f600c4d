"""Asks dbt Cloud over HTTP: pages, waits, tries again, and says in one line why it can't.

https://docs.getdbt.com/docs/dbt-apis/admin-api, limits of requests (429):
https://docs.getdbt.com/docs/dbt-apis/rate-limits
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from orchestrate.dbt_cloud.answers import Envelope
from orchestrate.dbt_cloud.errors import BrokenAnswerError, DbtCloudError, MissingError
from orchestrate.dbt_cloud.settings import ACCOUNT, METADATA_URL, TOKEN, URL, Settings

MOST_PARALLEL = 10
PAGE = 100  # the most that dbt Cloud gives at once
ATTEMPTS = 5
LONGEST_WAIT_S = 300.0
_FIRST_WAIT_S = 1.0
_TIMEOUT_S = (10.0, 60.0)  # to connect, and between two parts of an answer
_TOO_MANY = 429

Params = Mapping[str, str | int]
Content = TypeVar("Content")


class _Token(AuthBase):
    """As `auth` it wins over a .netrc, and is not sent on to another host by a redirect."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request


class Client:
    """May be used by several threads at once.

    Args:
        settings: Whom to ask, and as whom.
        session: A session of requests, a new one by default.
        sleep: Waits some seconds; by default so that `stop` ends it.
        now_s: Epoch seconds, to read a `Retry-After` that is a date.
    """

    def __init__(
        self,
        settings: Settings,
        session: requests.Session | None = None,
        *,
        sleep: Callable[[float], object] | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._session = session or _session()
        self._is_own = session is None
        self._auth = _Token(settings.token)
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._now_s = now_s

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own:
            self._session.close()

    def stop(self) -> None:
        """Ask nothing any more: threads that still would end with a DbtCloudError."""
        self._stopped.set()

    def data(
        self, path: str, kind: type[Content], params: Params | None = None, *, version: int = 2
    ) -> Content:
        """What a path below the account gives.

        Raises:
            MissingError: If it is not there.
            DbtCloudError: If it is refused, or can't be had after several attempts.
        """
        return self._envelope(path, kind, params or {}, version).data

    def pages(
        self, path: str, kind: type[Content], params: Params | None = None, *, version: int = 2
    ) -> Iterator[list[Content]]:
        """The pages of a list to its end; what is new meanwhile may make a row come twice.

        Raises:
            DbtCloudError: As `data`.
        """
        offset = 0
        while True:
            asked = {**(params or {}), "limit": PAGE, "offset": offset}
            page = self._envelope(path, list[kind], asked, version)  # type: ignore[valid-type]
            if not page.data:
                return
            yield page.data
            offset += len(page.data)
            told = page.extra.pagination if page.extra else None
            if told and told.total_count is not None and offset >= told.total_count:
                return

    def artifact(self, run_id: int, name: str, step: int) -> bytes | None:
        """An artifact of a step as JSON, unread; None if there is none (any more).

        Raises:
            BrokenAnswerError: If what comes is never whole.
            DbtCloudError: As `data`.
        """
        path = self._path(f"runs/{run_id}/artifacts/{name}", 2)
        answer = self._ask("GET", self.settings.url + path, path, params={"step": step})
        return None if answer is None else bytes(answer)

    def discover(self, query: str, variables: Mapping[str, Any], kind: type[Content]) -> Content:
        """What a query of the Discovery API gives.

        Raises:
            DbtCloudError: As `data`.
        """
        url = self.settings.metadata_url
        body = {"query": query, "variables": variables}
        answer = self._ask("POST", url, url, body=body)
        if answer is None:
            raise DbtCloudError(f"POST {url} answered 404: correct {METADATA_URL}.")
        return self._read(answer, kind, url)

    def _envelope(
        self, path: str, kind: type[Content], params: Params, version: int
    ) -> Envelope[Content]:
        full = self._path(path, version)
        answer = self._ask("GET", self.settings.url + full, full, params=params)
        if answer is None:
            raise MissingError(
                f"GET {full} answered 404: {self.settings.url} does not have that in account "
                f"{self.settings.account_id}, or the token may not see it. Correct {ACCOUNT} or "
                f"{URL}, or use a token of that account."
            )
        return self._read(answer, Envelope[kind], full)  # type: ignore[valid-type]

    def _path(self, path: str, version: int) -> str:
        return f"/api/v{version}/accounts/{self.settings.account_id}/{path}"

    def _read(self, answer: msgspec.Raw, kind: type[Content], path: str) -> Content:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.ValidationError as error:
            raise DbtCloudError(
                f"{path} answered in another shape than is known: {error}."
            ) from error

    def _ask(
        self,
        method: str,
        url: str,
        name: str,
        *,
        params: Params | None = None,
        body: Any = None,
    ) -> msgspec.Raw | None:
        """The body of the answer, which is JSON; None for 404."""
        problem = ""
        for attempt in range(ATTEMPTS):
            if self._stopped.is_set():
                raise DbtCloudError(f"{method} {name} was not asked, since the work was stopped.")
            wait_s = _FIRST_WAIT_S * 2**attempt
            is_broken = False
            try:
                answer = self._session.request(
                    method, url, params=params, json=body, auth=self._auth, timeout=_TIMEOUT_S
                )
                if answer.ok:
                    return _json(answer, method, name)
                if answer.status_code == requests.codes.not_found:
                    return None
                self._refuse(answer.status_code, method, name)
                problem = f"answered {answer.status_code}"
                wait_s = max(wait_s, self._retry_after_s(answer.headers.get("Retry-After")))
            except requests.RequestException as error:
                problem = _why(error)
                if not problem:
                    # Its text may hold the URL of a proxy with a password.
                    raise DbtCloudError(
                        f"{method} {name} can't be asked ({type(error).__name__}): look at {URL}."
                    ) from None
            except msgspec.DecodeError:
                is_broken, problem = True, "answered something that is not whole"
            if attempt + 1 < ATTEMPTS:
                self._sleep(min(wait_s, LONGEST_WAIT_S))
        kind = BrokenAnswerError if is_broken else DbtCloudError
        raise kind(
            f"{method} {name} {problem}, {ATTEMPTS} times: try again later. "
            "What was fetched before is kept."
        )

    def _refuse(self, status: int, method: str, name: str) -> None:
        """Stop where asking again can't help."""
        if status == requests.codes.unauthorized:
            raise DbtCloudError(
                f"{method} {name} answered 401: {TOKEN} is not valid there. Make a new one, or "
                f"correct {URL}, which is {self.settings.url}: each region has its own tokens."
            )
        if status == requests.codes.forbidden:
            raise DbtCloudError(
                f"{method} {name} answered 403: the token may not read that. Give it permission "
                f"to read the account's jobs and runs, or correct {ACCOUNT}."
            )
        if status < requests.codes.server_error and status != _TOO_MANY:
            raise DbtCloudError(f"{method} {name} answered {status}: look at {URL} and {ACCOUNT}.")

    def _retry_after_s(self, header: str | None) -> float:
        """Seconds that the server asks to wait: a number of them, or a date. 0 if it does not."""
        if not header:
            return 0.0
        if header.strip().isdigit():
            return float(header)
        try:
            return parsedate_to_datetime(header).timestamp() - self._now_s()
        except ValueError:
            return 0.0


def _session() -> requests.Session:
    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=MOST_PARALLEL))
    return session


def _json(answer: requests.Response, method: str, name: str) -> msgspec.Raw:
    if "html" in answer.headers.get("Content-Type", ""):
        raise DbtCloudError(
            f"{method} {name} answered with a page for people: {URL} is not that of dbt Cloud."
        )
    # Finds out, too, whether all of it has come.
    return msgspec.json.decode(answer.content, type=msgspec.Raw)


def _why(error: requests.RequestException) -> str:
    """What went wrong on the way, if another attempt may help."""
    if isinstance(error, requests.exceptions.SSLError):
        return ""
    if isinstance(error, requests.Timeout):
        return "gave no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if isinstance(
        error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    ):
        return "broke off"
    return ""
