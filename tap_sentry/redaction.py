"""Secrets leave a row before it leaves the tap."""

from __future__ import annotations

from typing import Any

# Parts of key names whose texts open doors: `securityToken`, `sentry:token`, `dsn.secret`, ...
_SECRET_WORDS = ("token", "secret", "password", "apikey", "privatekey", "credential")


def without_secrets(value: Any) -> Any:
    """A copy of a JSON value without the entries whose key names a secret.

    Flags and empty values stay, since they say that a secret exists and not what it is.
    """
    if isinstance(value, dict):
        return {
            key: without_secrets(entry)
            for key, entry in value.items()
            if not (
                _names_secret(key)
                and isinstance(entry, (str, int, float, list, dict))
                and not isinstance(entry, bool)
                and entry
            )
        }
    if isinstance(value, list):
        return [without_secrets(entry) for entry in value]
    return value


def _names_secret(key: str) -> bool:
    name = key.lower().replace("_", "").replace("-", "")
    return any(word in name for word in _SECRET_WORDS)
