"""TLS and passwords from a web configuration, held against real connections."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import requests

from orchestrate.ledger.store import LedgerError
from orchestrate.monitoring.server import LOOPBACK, Source, serving
from orchestrate.monitoring.web_config import WebConfig
from tests.certificates import Authority

PASSWORD = "s3cret: ä"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{ada: {HASH}}}\n"
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority(tmp_path_factory.mktemp("certificates"))
    found.sign("server")
    found.sign("client")
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


@pytest.fixture
def signed(tmp_path: Path, authority: Authority) -> Authority:
    """The certificates lie beside the configuration too."""
    for found in authority.certificate.parent.iterdir():
        shutil.copy(found, tmp_path)
    return authority


def config(path: Path, text: str) -> WebConfig:
    path.write_text(text, encoding="utf-8")
    return WebConfig(path, lambda _: None)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def served(found: WebConfig) -> Iterator[str]:
    with serving(Source(list, print), LOOPBACK, 0, print, found) as url:
        yield f"{url}/-/healthy"


class TestUsers:
    def test_come_in_with_their_password_alone(self, path: Path) -> None:
        found = config(path, USERS)
        assert found.lets_in(basic("ada", PASSWORD))
        assert found.lets_in(basic("ada", PASSWORD).replace("Basic", "bAsIc"))
        assert not found.lets_in(basic("ada", PASSWORD + "x"))
        assert not found.lets_in(basic("eve", PASSWORD))

    @pytest.mark.parametrize(
        "header",
        [None, "", "Basic", "Basic !", "Basic YWRh", "Bearer x", "Basic /w==", basic("", "")],
    )
    def test_come_in_with_nothing_else(self, path: Path, header: str | None) -> None:
        assert not config(path, USERS).lets_in(header)

    @pytest.mark.parametrize("password", ["x" * 73, "a\0b", ""])
    def test_are_kept_out_with_what_bcrypt_does_not_take(self, path: Path, password: str) -> None:
        assert not config(path, USERS).lets_in(basic("ada", password))

    def test_are_everybody_where_none_is_named(self, path: Path) -> None:
        assert config(path, "").lets_in(None)

    def test_are_checked_once_strangers_each_time(self, path: Path) -> None:
        checked: list[bytes] = []

        def check(password: bytes, hashed: bytes) -> bool:
            checked.append(password)
            return bcrypt.checkpw(password, hashed)

        path.write_text(USERS)
        found = WebConfig(path, print, check)
        for user, password in (("ada", PASSWORD), ("ada", "wrong"), ("eve", PASSWORD)):
            for _ in range(3):
                found.lets_in(basic(user, password))
        assert checked == [PASSWORD.encode(), *[b"wrong"] * 3, *[PASSWORD.encode()] * 3]

    def test_who_are_known_do_not_wait_while_strangers_are_checked(self, path: Path) -> None:
        checking, goes_on = threading.Event(), threading.Event()

        def check(password: bytes, hashed: bytes) -> bool:
            if password == b"guessed":
                checking.set()
                goes_on.wait(20)
            return bcrypt.checkpw(password, hashed)

        path.write_text(USERS)
        found = WebConfig(path, print, check)
        assert found.lets_in(basic("ada", PASSWORD))
        stranger = threading.Thread(target=found.lets_in, args=(basic("ada", "guessed"),))
        stranger.start()
        assert checking.wait(20)
        known: list[bool] = []

        def come_in() -> None:
            found.refresh()
            known.append(found.lets_in(basic("ada", PASSWORD)))

        other = threading.Thread(target=come_in)
        other.start()
        other.join(10)
        assert known == [True]
        goes_on.set()
        stranger.join()

    def test_are_remembered_without_their_password(self, path: Path) -> None:
        found = config(path, USERS)
        found.lets_in(basic("ada", PASSWORD))
        assert PASSWORD not in repr(vars(found))

    def test_are_kept_out_once_their_password_changed(self, path: Path) -> None:
        found = config(path, USERS)
        assert found.lets_in(basic("ada", PASSWORD))
        other = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
        path.write_text(f"basic_auth_users:\n  ada: {other}\n")
        found.refresh()
        assert not found.lets_in(basic("ada", PASSWORD))
        assert found.lets_in(basic("ada", "other"))

    def test_are_asked_for_on_every_path(self, path: Path) -> None:
        with served(config(path, USERS)) as url:
            for asked in (url, url.replace("-/healthy", "metrics"), f"{url}/none"):
                answer = requests.get(asked, timeout=20)
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert requests.post(url, timeout=20).status_code == 401
            auth = ("ada", PASSWORD.encode())
            assert requests.get(url, auth=auth, timeout=20).status_code == 200  # type: ignore[arg-type]


class TestTls:
    def test_shows_the_certificate(self, path: Path, signed: Authority) -> None:
        with served(config(path, TLS)) as url:
            assert url.startswith("https://")
            assert requests.get(url, verify=str(signed.certificate), timeout=20).status_code == 200

    def test_takes_nobody_who_speaks_without_it(self, path: Path, signed: Authority) -> None:
        with served(config(path, TLS)) as url, pytest.raises(requests.ConnectionError):
            requests.get(url.replace("https", "http"), timeout=20)

    def test_hanging_in_one_client_does_not_keep_up_another(
        self, path: Path, signed: Authority
    ) -> None:
        with served(config(path, TLS)) as url:
            port = int(url.split(":")[2].split("/")[0])
            with socket.create_connection((LOOPBACK, port)):
                answer = requests.get(url, verify=str(signed.certificate), timeout=5)
            assert answer.status_code == 200

    def test_may_ask_for_a_certificate_of_the_client(self, path: Path, signed: Authority) -> None:
        asking = "client_ca_file: authority.crt, client_auth_type: RequireAndVerifyClientCert}"
        trusted = str(signed.certificate)
        client = tuple(str(path.with_name(f"client.{end}")) for end in ("crt", "key"))
        with served(config(path, TLS.replace("}", f", {asking}"))) as url:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, verify=trusted, timeout=20)
            assert requests.get(url, verify=trusted, cert=client, timeout=20).ok  # type: ignore[arg-type]

    def test_is_as_new_as_was_asked(self, path: Path, signed: Authority) -> None:
        found = config(path, TLS.replace("}", ", min_version: TLS13}"))
        assert found.context
        assert found.context.minimum_version == ssl.TLSVersion.TLSv1_3

    def test_reads_certificates_anew_when_they_changed(
        self, path: Path, signed: Authority, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        other = Authority(tmp_path / "other")
        with served(config(path, TLS)) as url:
            assert requests.get(url, verify=str(signed.certificate), timeout=20).ok
            for made, name in zip(other.sign("server"), ("server.crt", "server.key"), strict=True):
                shutil.copy(made, path.with_name(name))
            assert requests.get(url, verify=str(other.certificate), timeout=20).ok

    @pytest.mark.parametrize(("name", "text"), [("server.crt", "half"), ("web.yml", "a: [half")])
    def test_goes_on_as_before_where_what_is_new_is_broken(
        self, path: Path, signed: Authority, name: str, text: str
    ) -> None:
        said: list[str] = []
        path.write_text(TLS)
        found = WebConfig(path, said.append)
        before = found.context
        path.with_name(name).write_text(text)
        found.refresh()
        found.refresh()
        assert found.context is before
        assert len(said) == 1
        assert said[0].startswith(f"WARN  Cannot use the web configuration {path}: ")


class TestHeaders:
    def test_are_part_of_each_answer(self, path: Path) -> None:
        text = "http_server_config:\n  headers: {X-Frame-Options: deny}\n  http2: true\n"
        with served(config(path, text)) as url:
            assert requests.get(f"{url}/none", timeout=20).headers["X-Frame-Options"] == "deny"


REFUSED = {
    "what: 1": "unknown field `what`",
    "tls_server_config: {cert_file: a}": "missing required field `key_file`",
    "tls_server_config: {cert_file: '', key_file: b}": "length >= 1 - at `$.tls_server_config.cert",
    "tls_server_config: {cert_file: none.crt, key_file: b}": "cert_file and key_file: No such file",
    TLS.replace("}", ", cipher_suites: [x]}"): "unknown field `cipher_suites`",
    TLS.replace("}", ", min_version: TLS10}"): "Invalid enum value 'TLS10'",
    TLS.replace("}", ", client_auth_type: RequireAnyClientCert}"): "Invalid enum value 'RequireAny",
    TLS.replace("}", ", client_auth_type: RequireAndVerifyClientCert}"): "needs client_ca_file",
    TLS.replace("}", ", client_ca_file: authority.crt}"): "needs a client_auth_type",
    TLS.replace("}", ", min_version: TLS13, max_version: TLS12}"): "min_version is above",
    "tls_server_config: {cert_file: client.crt, key_file: server.key}": "KEY_VALUES_MISMATCH",
    "basic_auth_users: {ada: s3cret}": r"Expected `str` matching regex",
    f"basic_auth_users: {{ada: {HASH}, ada: {HASH}}}": "ada is there twice (line 1)",
    "basic_auth_users: {12: s3cret}": "Expected `str`, got `int`",
    "http_server_config: {headers: {X-Mine: s3cret}}": "Invalid enum value 'X-Mine'",
    "a: [s3cret": "expected ',' or ']'",
    "a: b: s3cret": "mapping values are not allowed here (line 1)",
    "- s3cret": "Expected `object`, got `array`",
    "a: \0s3cret": "it is no YAML",
}


class TestFile:
    @pytest.mark.parametrize("text", REFUSED)
    def test_that_makes_no_sense_is_one_line_without_a_secret(
        self, path: Path, signed: Authority, text: str
    ) -> None:
        with pytest.raises(LedgerError) as failed:
            config(path, text)
        told = str(failed.value)
        assert told.startswith(f"Cannot use the web configuration {path}: ")
        assert REFUSED[text] in told
        assert "\n" not in told
        assert "s3cret" not in told
        assert HASH not in told

    def test_that_is_not_there_is_one_clear_line(self, path: Path) -> None:
        with pytest.raises(LedgerError, match="No such file or directory"):
            WebConfig(path, print)

    def test_that_is_no_text_is_one_clear_line(self, path: Path) -> None:
        path.write_bytes(b"\xff")
        with pytest.raises(LedgerError, match="it is no UTF-8"):
            WebConfig(path, print)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n"])
    def test_without_anything_asks_for_nothing(self, path: Path, text: str) -> None:
        found = config(path, text)
        assert (found.context, found.headers, found.lets_in(None)) == (None, {}, True)

    def test_may_be_anywhere(
        self, path: Path, signed: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir("/")
        assert config(Path(os.path.relpath(path)), TLS).context

    @pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
    @pytest.mark.parametrize(
        "text",
        [
            "",
            USERS,
            TLS,
            TLS.replace("}", ", min_version: TLS12, max_version: TLS13}") + USERS,
            TLS.replace(
                "}", ", client_ca_file: authority.crt, client_auth_type: VerifyClientCertIfGiven}"
            ),
            TLS + "http_server_config: {http2: false, headers: {X-Frame-Options: deny}}",
        ],
        ids=["empty", "users", "tls", "tls with users", "clients", "headers"],
    )
    def test_that_is_taken_here_promtool_takes_too(
        self, path: Path, signed: Authority, text: str
    ) -> None:
        config(path, text)
        done = subprocess.run(
            ["promtool", "check", "web-config", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
