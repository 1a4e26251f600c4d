"""Alertmanager's configuration out of its template: the channels whose variables are set.

Secrets stay in files that Alertmanager reads itself. Addresses of webhooks are secrets as well, and
are written into the configuration: only its owner may read that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from orchestrate.ledger.store import LedgerError

FOLDER = Path(__file__).parent / "prometheus"
TEMPLATE = FOLDER / "alertmanager.yml"

_PREFIX = "OBSERVE_ALERTS_"
_PLACEHOLDER = re.compile(r"\$(OBSERVE_ALERTS_[A-Z_]+)")
_EMAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):(\d{1,5})")


def _text(value: str) -> str:
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"\s", value):
        raise ValueError("is no address. Set it to one like https://host/path")
    return value


def _emails(value: str) -> str:
    found = [address.strip() for address in value.split(",")]
    if not all(_EMAIL.fullmatch(address) for address in found):
        raise ValueError("is no e-mail address. Set it to one like on-call@example.com")
    return ", ".join(found)


def _host_and_port(value: str) -> str:
    found = _HOST_AND_PORT.fullmatch(value)
    if not found or not 0 < int(found[2]) < 65_536:
        raise ValueError("is no host with a port. Set it to one like smtp.example.com:587")
    return value


def _secret_file(value: str) -> str:
    # It is never shown: who takes the variable for the secret's own would find that in the log.
    try:
        path = Path(value).expanduser().absolute()
        content = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        content = ""
    except RuntimeError:
        raise ValueError("names the home of nobody. Set it to a file's whole path") from None
    except OSError as error:
        raise ValueError(
            f"names a file that can't be read: {error.strerror}. Write the secret into a file, "
            "alone, and set it to that file's path"
        ) from None
    if not content or len(content.splitlines()) > 1:
        raise ValueError(
            "names a file that does not hold one line of text. Write the secret there, alone"
        )
    return str(path)


def _file_with_address(value: str) -> str:
    path = _secret_file(value)
    try:
        _address(Path(path).read_text(encoding="utf-8").strip())
    except ValueError:
        raise ValueError(
            "names a file in which is no address. Write one like https://host/path there"
        ) from None
    return path


class _Variable(NamedTuple):
    """`checked` gives the value as Alertmanager needs it, or a ValueError that ends a sentence."""

    channel: str
    name: str
    checked: Callable[[str], str]
    required: bool = True


_VARIABLES = (
    _Variable("email", "EMAIL_TO", _emails),
    _Variable("email", "EMAIL_FROM", _emails),
    _Variable("email", "EMAIL_SMARTHOST", _host_and_port),
    _Variable("email", "EMAIL_USERNAME", _text, required=False),
    _Variable("email", "EMAIL_PASSWORD_FILE", _secret_file, required=False),
    _Variable("Slack", "SLACK_URL_FILE", _file_with_address),
    _Variable("PagerDuty", "PAGERDUTY_KEY_FILE", _secret_file),
    _Variable("webhook", "WEBHOOK_URL", _address),
    _Variable("heartbeat", "HEARTBEAT_URL", _address),
)
CHANNELS = tuple(dict.fromkeys(variable.channel for variable in _VARIABLES))


def settings(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The values of each channel that is set up, by the variables' full names.

    Raises:
        LedgerError: If a value can't be right, or some that belong to it are missing. The line
            names the variable, never its value.
    """
    found: dict[str, dict[str, str]] = {}
    for channel, name, checked, _ in _VARIABLES:
        value = environ.get(_PREFIX + name, "").strip()
        if not value:
            continue
        try:
            found.setdefault(channel, {})[_PREFIX + name] = checked(value)
        except ValueError as error:
            raise LedgerError(
                f"Cannot send alerts to {channel}: {_PREFIX + name} {error}."
            ) from None
    for variable in _VARIABLES:
        name = _PREFIX + variable.name
        values = found.get(variable.channel)
        if values and variable.required and name not in values:
            raise LedgerError(
                f"Cannot send alerts to {variable.channel}: {name} is not set, "
                f"but {next(iter(values))} is. Set both or neither."
            )
    return found


def configuration(environ: Mapping[str, str], template: Path = TEMPLATE) -> dict[str, Any]:
    """The template with the values of variables: without the channels that are not set up.

    Raises:
        LedgerError: As `settings` does.
    """
    values: dict[str, str] = {}
    for of_channel in settings(environ).values():
        values |= of_channel
    optional = {_PREFIX + variable.name for variable in _VARIABLES if not variable.required}
    content: dict[str, Any] = yaml.safe_load(template.read_text(encoding="utf-8"))
    content["templates"] = [str(template.parent / name) for name in content["templates"]]
    content["receivers"] = [_filled(one, values, optional) for one in content["receivers"]]
    return content


def _filled(receiver: dict[str, Any], values: Mapping[str, str], optional: set[str]) -> Any:
    """The receiver with values for placeholders, and of its channels those that have them all."""
    filled: dict[str, Any] = {"name": receiver["name"]}
    for key, channels in receiver.items():
        if key == "name":
            continue
        for channel in channels:
            asked = {
                field: found[1]
                for field, value in channel.items()
                if (found := _PLACEHOLDER.fullmatch(str(value)))
            }
            missing = {name for name in asked.values() if name not in values}
            if missing <= optional:
                filled.setdefault(key, []).append(
                    {
                        field: values[asked[field]] if field in asked else value
                        for field, value in channel.items()
                        if asked.get(field) not in missing
                    }
                )
    return filled


def write(content: Mapping[str, Any], path: Path) -> None:
    """Replace the file, which nobody but its owner may read at any time."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Made by `observe stack` at each start; it may hold secrets.\n")
        yaml.safe_dump(content, file, sort_keys=False, width=1000)
