"""Who may ask what: tokens and the scopes that endpoints demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tap_sentry.demo.exchange import Request, forbidden, unauthorized

ALL_SCOPES = ("alerts:read", "event:read", "member:read", "org:read", "project:read",
              "project:releases", "team:read")  # fmt: skip


class Access:
    """The tokens that exist; without any, everybody may read everything.

    Args:
        tokens: Scopes per token, None for no authentication at all.
    """

    def __init__(self, tokens: Mapping[str, Iterable[str]] | None) -> None:
        self._tokens = None if tokens is None else {t: frozenset(s) for t, s in tokens.items()}

    def scopes(self, request: Request) -> frozenset[str] | None:
        """The scopes of the request's token, None for an anonymous request.

        Raises:
            ApiError: 401 if the token is unknown.
        """
        if self._tokens is None:
            return frozenset(ALL_SCOPES)
        if request.token is None:
            return None
        if request.token not in self._tokens:
            raise unauthorized("Invalid token")
        return self._tokens[request.token]

    def demand(self, request: Request, wanted: tuple[str, ...]) -> None:
        """Let pass whoever holds one of the wanted scopes.

        Raises:
            ApiError: 401 without or with an unknown token, 403 without the scope.
        """
        scopes = self.scopes(request)
        if scopes is None:
            raise unauthorized("Authentication credentials were not provided.")
        if wanted and not scopes.intersection(wanted):
            raise forbidden(*wanted)
