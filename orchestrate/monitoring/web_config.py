"""TLS and passwords of the metrics server, in the file that all of Prometheus's programs share.

https://prometheus.io/docs/prometheus/latest/configuration/https/
What ssl can't do is refused, not passed over; what is accepted here, Prometheus accepts too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import bcrypt
import msgspec
import yaml

from orchestrate.ledger.store import LedgerError

_Hash = Annotated[str, msgspec.Meta(pattern=r"^\$2[aby]\$(0[4-9]|1\d)\$[./A-Za-z0-9]{53}$")]
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Version = Literal["TLS12", "TLS13"]
_Header = Literal[
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
]
_Stamp = tuple[int, int, int]

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Checks that went well are remembered, so many at most: bcrypt is slow on purpose.
_REMEMBERED = 100


class _Tls(msgspec.Struct, forbid_unknown_fields=True):
    cert_file: _Name
    key_file: _Name
    client_ca_file: str = ""
    client_auth_type: Literal[
        "", "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = ""
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"


class _Http(msgspec.Struct, forbid_unknown_fields=True):
    http2: bool = True  # we speak HTTP/1.1, which both allow
    headers: dict[_Header, str] = {}


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    tls_server_config: _Tls | None = None
    http_server_config: _Http | None = None
    basic_auth_users: dict[str, _Hash] | None = None


class WebConfig:
    """What the file says; `refresh` reads it, and the certificates, anew when they changed.

    Attributes:
        context: For TLS, None without.
        headers: Of each answer.

    Args:
        path: The file; paths in it are relative to its folder.
        say: Takes a line when it changed and can't be used; what was before goes on.
        check: Whether a password fits a hash.

    Raises:
        LedgerError: If it can't be read or used.
    """

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None],
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._check = check
        self._path = path
        self._say = say
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        # Of no use outside of this process, whoever may see the digests.
        self._key = secrets.token_bytes(32)
        self._good: set[bytes] = set()
        self._seen: list[_Stamp | None] = []
        self._read()

    def refresh(self) -> None:
        """Read the files anew if one of them changed."""
        with self._lock:
            if self._stamps() == self._seen:
                return
            try:
                self._read()
            except LedgerError as error:
                self._seen = self._stamps()  # said once
                self._say(f"WARN  {error} What it said before holds on.")

    def lets_in(self, authorization: str | None) -> bool:
        """Whether a request with this Authorization header may be answered."""
        if not self._users:
            return True
        try:
            scheme, _, encoded = (authorization or "").partition(" ")
            given = base64.b64decode(encoded.strip(), validate=True)
            user, colon, password = given.decode().partition(":")
        except ValueError:
            return False
        if scheme.lower() != "basic" or not colon:
            return False
        # An unknown user takes as long as a known one: bcrypt has to work for both.
        hashed = self._users.get(user) or next(iter(self._users.values()))
        told = msgspec.json.encode([user, hashed, password])
        digest = hmac.digest(self._key, told, hashlib.sha256)
        # Before the queue: who guesses passwords must not keep Prometheus waiting.
        if digest in self._good:
            return True
        # One at a time: nor get all of the processor.
        with self._checking:
            if not self._fits(password, hashed) or user not in self._users:
                return False
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good.add(digest)
            return True

    def _fits(self, password: str, hashed: str) -> bool:
        try:
            return self._check(password.encode(), hashed.encode())
        except ValueError:  # longer than bcrypt's 72 bytes
            return False

    def _read(self) -> None:
        settings = _parse(self._path)
        tls = settings.tls_server_config
        self._files = [self._path, *(_files(tls, self._path.parent) if tls else [])]
        self._seen = self._stamps()
        context = _context(tls, self._path) if tls else None
        self.context = context
        self.headers = (
            dict(settings.http_server_config.headers) if settings.http_server_config else {}
        )
        self._users = settings.basic_auth_users or {}

    def _stamps(self) -> list[_Stamp | None]:
        return [_stamp(path) for path in self._files]


class _Unique(yaml.SafeLoader):
    """Refuses a key that is there twice, as Prometheus does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [name.value for name, _ in node.value]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise yaml.MarkedYAMLError(
                    problem=f"{name} is there twice", problem_mark=node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> _Settings:
    try:
        text = path.read_text(encoding="utf-8")
        found = yaml.load(text, Loader=_Unique)  # noqa: S506 -- it is a SafeLoader
        settings = msgspec.convert(found if found is not None else {}, _Settings)
    except OSError as error:
        raise _unusable(path, error.strerror) from None
    except UnicodeDecodeError:
        raise _unusable(path, "it is no UTF-8") from None
    except yaml.MarkedYAMLError as error:
        # The error's own text shows the line, which may hold a hash.
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise _unusable(path, f"{error.problem}{line}") from None
    except yaml.YAMLError:
        raise _unusable(path, "it is no YAML") from None
    except msgspec.ValidationError as error:
        raise _unusable(path, str(error)) from None
    tls = settings.tls_server_config
    if tls:
        asked = tls.client_auth_type not in {"", "NoClientCert"}
        if asked and not tls.client_ca_file:
            raise _unusable(path, f"client_auth_type {tls.client_auth_type} needs client_ca_file")
        if tls.client_ca_file and not asked:
            raise _unusable(path, "client_ca_file needs a client_auth_type that verifies")
        if tls.min_version > tls.max_version:
            raise _unusable(path, "min_version is above max_version")
    return settings


def _files(tls: _Tls, folder: Path) -> list[Path]:
    return [folder / name for name in (tls.cert_file, tls.key_file, tls.client_ca_file) if name]


def _context(tls: _Tls, path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    certificate, key, *authorities = _files(tls, path.parent)
    what = "cert_file and key_file"
    try:
        # Of a key with a password, OpenSSL would ask the terminal for it.
        context.load_cert_chain(certificate, key, password=lambda: b"")
        what = "client_ca_file"
        for authority in authorities:
            context.load_verify_locations(authority)
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or "they can't be read"
        raise _unusable(path, f"{what}: {reason}") from None
    context.verify_mode = _CLIENTS[tls.client_auth_type or "NoClientCert"]
    return context


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unusable(path: Path, why: str | None) -> LedgerError:
    return LedgerError(
        f"Cannot use the web configuration {path}: {why}. Correct it; `promtool check web-config` "
        "tells more."
    )
