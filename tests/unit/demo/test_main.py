from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import requests

from tap_sentry.demo import ServerError
from tap_sentry.demo.__main__ import arguments, demo, main
from tests.unit.demo.client import Client


class TestArguments:
    def test_describe_a_demo(self) -> None:
        options = arguments(
            [
                "--seed", "3", "--projects", "2", "--scale", "0.1", "--limits", "off",
                "--now", "2026-11-20T12:00:00Z", "--latency-ms", "50",
                "--token", "a=org:read,event:read", "--token", "b",
                "--fault", "ServerError every=10 status=502",
            ]
        )  # fmt: skip
        sentry = demo(options)
        assert sentry.latency_s == 0.05
        assert sentry.world.counts()["projects"] == 2
        assert sentry.world.clock().isoformat() == "2026-11-20T12:00:00+00:00"
        assert options.fault == [ServerError(every=10, status=502)]
        assert dict(options.token)["a"] == ("org:read", "event:read")
        assert "member:read" in dict(options.token)["b"]

    def test_choose_a_dialect(self) -> None:
        client = Client(demo(arguments(["--dialect", "glitchtip", "--scale", "0"])))
        assert client.get("organizations/acme-shop/replays/").text.startswith("<!doctype html>")
        client = Client(demo(arguments(["--scale", "0"])))
        assert client.get("organizations/acme-shop/replays/").json().keys() == {"data"}

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["--now", "tomorrow"], "'tomorrow' is no date such as"),
            (["--scale", "big"], "'big' is no number between 0 and 1000"),
            (["--fault", "Meteor"], "no fault is called 'Meteor'"),
            (["--token", "=org:read"], "a token cannot be empty"),
            (["--projects", "-1"], "must not be negative"),
            (["--limits", "some"], "invalid choice"),
            (["--dialect", "klingon"], "invalid choice"),
        ],
    )
    def test_are_refused_in_one_line(
        self, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            arguments(argv)
        assert caught.value.code == 2
        assert words in capsys.readouterr().err.splitlines()[-1]


class TestProgram:
    def test_says_where_it_is_and_answers(self) -> None:
        command = [sys.executable, "-m", "tap_sentry.demo", "--port", "0", "--scale", "0.01"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            try:
                assert program.stdout is not None
                url = program.stdout.readline().strip()
                assert f"TAP_SENTRY_BASE_URL={url}" in program.stdout.readline()
                assert requests.get(f"{url}/api/0/", timeout=10).json()["version"] == "0"
            finally:
                program.terminate()

    def test_says_that_a_port_is_taken(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            assert main(["--port", str(taken.getsockname()[1])]) == 1
        assert "Cannot listen on port" in capsys.readouterr().err
