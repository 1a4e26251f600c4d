"""The programs of the local stack: found, started, looked at and stopped. No shell between.

They end when the block that started them does; after a `kill -9` of this process alone they go on,
and the next start says which port is taken.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from orchestrate.ledger.store import LedgerError

HOST = "127.0.0.1"

_READY_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
# The only variables that the programs get: none of ours, which may hold secrets.
_HANDED_ON = {"PATH", "HOME", "TMPDIR", "TZ", "LANG", "GOMAXPROCS", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_HANDED_ON |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}


class Ports(NamedTuple):
    """Where each of the three listens, on the loopback interface alone."""

    prometheus: int = 9090
    alertmanager: int = 9093
    node_exporter: int = 9100


DEFAULT_PORTS = Ports()


class Program(NamedTuple):
    """One of the three, under the names that upstream and Debian give it.

    `job` is Prometheus's name for it, `page` what a person looks at, `ready` answers once it is.
    """

    name: str
    executables: tuple[str, ...]
    job: str
    page: str
    ready: str


# In the order of Ports.
PROGRAMS = (
    Program("prometheus", ("prometheus",), "prometheus", "/", "/-/ready"),
    Program(
        "alertmanager", ("alertmanager", "prometheus-alertmanager"), "alertmanager", "/", "/-/ready"
    ),
    Program(
        "node_exporter", ("node_exporter", "prometheus-node-exporter"), "node", "/metrics", "/"
    ),
)


class Running(NamedTuple):
    """One of the three, started."""

    program: Program
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raise LedgerError if it has ended."""
        if self.process.poll() is None:
            return
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LedgerError(
            f"{self.program.name} stopped with exit code {self.process.returncode}: "
            f"{lines[-1] if lines else 'it said nothing'}. All of it is in {self.log}; correct "
            "what it names and start again."
        )


@contextmanager
def started(
    output: Path,
    environ: Mapping[str, str],
    ports: Ports = DEFAULT_PORTS,
    web_config: Path | None = None,
    scheme: str = "http",
) -> Iterator[list[Running]]:
    """The three with the configurations in output/monitoring, ready, until the block ends.

    Raises:
        LedgerError: If one is missing or can't start.
    """
    output = output.absolute()
    folder = output / "monitoring"
    commands = [_found(program, environ) for program in PROGRAMS]
    if web_config and not web_config.is_file():
        raise LedgerError(f"Cannot read the web configuration {web_config}: there is no such file.")
    web = [f"--web.config.file={web_config.absolute()}"] if web_config else []
    for program, port in zip(PROGRAMS, ports, strict=True):
        _check_free(program, port)
    found: list[Running] = []
    try:
        for program, command, port in zip(PROGRAMS, commands, ports, strict=True):
            log = folder / f"{program.name}.log"
            arguments = [*_arguments(program, output, port, scheme), *web]
            found.append(Running(program, port, log, _start([command, *arguments], log, environ)))
        for one in found:
            _wait_until_ready(one, secured=bool(web))
        yield found
    finally:
        _stop(found)


def _found(program: Program, environ: Mapping[str, str]) -> str:
    for name in program.executables:
        path = shutil.which(name, path=environ.get("PATH"))
        if path:
            return path
    raise LedgerError(
        f"Cannot start the stack: there is no {' and no '.join(program.executables)}. Install it: "
        "apt install prometheus prometheus-alertmanager prometheus-node-exporter, or put the "
        "programs of https://prometheus.io/download/ on the PATH."
    )


def _check_free(program: Program, port: int) -> None:
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise LedgerError(
                f"Cannot start {program.name} on port {port} of {HOST}: "
                f"{getattr(error, 'strerror', None) or error}. Stop what listens there, or take "
                f"another port: --{program.name.replace('_', '-')}-port."
            ) from None


def _arguments(program: Program, output: Path, port: int, scheme: str) -> list[str]:
    folder = output / "monitoring"
    address = f"--web.listen-address={HOST}:{port}"
    if program.name == "node_exporter":
        return [address, f"--collector.textfile.directory={output / 'metrics'}"]
    common = [
        address,
        f"--web.external-url={scheme}://{HOST}:{port}",
        f"--config.file={folder / program.name}.yml",
    ]
    data = folder / program.name
    if program.name == "prometheus":
        return [*common, f"--storage.tsdb.path={data}"]
    # Alone: no cluster, whose port would be open to the network.
    return [*common, f"--storage.path={data}", "--cluster.listen-address="]


def _start(command: list[str], log: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The program in a session of its own: Ctrl-C reaches this process alone, which stops it."""
    given = {name: value for name, value in environ.items() if name in _HANDED_ON}
    with log.open("wb") as written:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(one: Running, *, secured: bool) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not _is_ready(one, secured=secured):
        one.check()
        if time.monotonic() > deadline:
            raise LedgerError(
                f"{one.program.name} is not ready after {_READY_WITHIN_S:.0f} s. "
                f"Its log says why: {one.log}."
            )
        time.sleep(0.05)


def _is_ready(one: Running, *, secured: bool) -> bool:
    if not secured:
        return answer_of(one.port, one.program.ready) is not None
    with socket.socket() as asked:
        return asked.connect_ex((HOST, one.port)) == 0


def answer_of(port: int, path: str) -> bytes | None:
    """The answer, if there is a good one."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _stop(running: list[Running]) -> None:
    for one in running:
        one.process.terminate()
    deadline = time.monotonic() + _STOP_WITHIN_S
    for one in running:
        while one.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        one.process.kill()  # nothing happens to one that has ended
        one.process.wait()
