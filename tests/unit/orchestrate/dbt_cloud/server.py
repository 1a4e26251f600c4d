"""A dbt Cloud of recorded answers over local HTTP, which can be told to fail.

The shapes are those of dbt Cloud's openapi-v2.yaml and of dbt's own artifacts.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from orchestrate.dbt_cloud.fetching import Fetched
from orchestrate.dbt_cloud.settings import Settings
from orchestrate.ledger.instants import instant_us

TOKEN = "dbtc_a-secret-that-nobody-may-see"
ACCOUNT_ID = 51
PRODUCTION, STAGING = 31, 32
HOURLY, CHECKS = 900, 901
FRESHNESS_STEP, BUILD_STEP = 4, 5
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
PATIENCE_S = 20.0

Json = Any

FCT, STG = "model.shop.fct_orders", "model.shop.stg_orders"
UNDER_WAY: dict[str, Json] = {"status": 3, "finished_at": None}


class Fetch(Protocol):
    """As `fetch` of the ledger and the server of a test; `settings` are those to be others."""

    def __call__(self, **fields: object) -> Fetched: ...


def us(text: str) -> int:
    """An instant of 20 November 2026 in UTC."""
    found = instant_us(f"2026-11-20T{text}Z")
    assert found is not None
    return found


def steps_of(run: Json, status: int) -> list[Json]:
    """Its steps, the last of which has that status."""
    return [*run["run_steps"][:-1], run["run_steps"][-1] | {"status": status}]


def recorded(name: str) -> Json:
    """A recorded answer or artifact, the caller's own to change."""
    return json.loads((Path(__file__).parent / name).read_bytes())


def shifted(value: Json, hours: float) -> Json:
    """The same with all instants so much later."""
    if isinstance(value, dict):
        return {key: shifted(one, hours) for key, one in value.items()}
    if isinstance(value, list):
        return [shifted(one, hours) for one in value]
    if isinstance(value, str) and value.startswith("2026-"):
        later = datetime.fromisoformat(value.replace("Z", "+00:00")) + timedelta(hours=hours)
        return later.isoformat(" " if " " in value else "T", "microseconds")
    return value


@dataclass(frozen=True)
class Fault:
    """Instead of one answer: a status, or with 200 the right one cut or turned into something."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    body: bytes | None = None


class Asked(NamedTuple):
    """A request that came."""

    path: str
    query: dict[str, str]
    body: Json
    authorization: str | None


@dataclass
class DbtCloud:
    """What it has, what goes wrong, and what was asked of it."""

    runs: list[Json] = field(default_factory=list)
    artifacts: dict[tuple[int, int, str], bytes] = field(default_factory=dict)
    jobs: list[Json] = field(default_factory=lambda: recorded("jobs.json"))
    environments: list[Json] = field(default_factory=lambda: recorded("environments.json"))
    models: list[Json] = field(default_factory=list)
    models_per_page: int = 500
    graphql_errors: list[Json] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    on_fault: Callable[[], object] | None = None
    gate: threading.Barrier | None = None
    most_at_once: int = 0
    port: int = 0
    lists_steps: bool = True
    tells_totals: bool = True
    most_per_page: int = 100
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, **fields: Any) -> Settings:
        url = f"http://127.0.0.1:{self.port}"
        given = {"token": TOKEN, "account_id": ACCOUNT_ID, "url": url}
        return Settings(**{"metadata_url": f"{url}/graphql", **given, **fields})

    def add(self, run_id: int, hours: float = 0.0, **fields: Json) -> Json:
        """A run of the hourly job, good unless told otherwise, with its artifacts."""
        run = shifted(recorded("run.json"), hours) | {"id": run_id}
        run["job"] = next(job for job in self.jobs if job["id"] == HOURLY)
        run["environment"] = self.environments[0]
        run |= fields
        self.runs.append(run)
        sources, results = recorded("sources.json"), recorded("run_results.json")
        self.keep(run_id, FRESHNESS_STEP, "sources.json", shifted(sources, hours))
        self.keep(run_id, BUILD_STEP, "run_results.json", shifted(results, hours))
        for step in (FRESHNESS_STEP, BUILD_STEP):
            self.keep(run_id, step, "manifest.json", recorded("manifest.json"))
        return run

    def keep(self, run_id: int, step: int, name: str, artifact: Json) -> None:
        """Have an artifact of a step, of an invocation of its own."""
        artifact["metadata"]["invocation_id"] = invocation_id(run_id, step)
        self.artifacts[run_id, step, name] = json.dumps(artifact).encode()

    def results(self, run_id: int) -> Json:
        return json.loads(self.artifacts[run_id, BUILD_STEP, "run_results.json"])

    def counted(self) -> Counter[str]:
        """How often what was asked: the last part of the path, of artifacts with run and step."""
        return Counter(_short(asked) for asked in self.asked)

    def answer(self, asked: Asked) -> tuple[int, Json | bytes]:
        """Status and body for a request."""
        start = f"/accounts/{ACCOUNT_ID}/"
        if asked.path == "/graphql":
            return 200, self._graphql(asked.body)
        _, found, rest = asked.path.partition(start)
        if not found:
            return 404, {"status": {"code": 404}, "data": None}
        parts = [part for part in rest.split("/") if part]
        if not parts:
            return 200, recorded("account.json")
        if parts[0] in {"runs", "jobs", "environments"} and len(parts) == 1:
            return 200, self._page(parts[0], asked.query)
        if len(parts) == 4 and parts[2] == "artifacts":
            body = self.artifacts.get((int(parts[1]), int(asked.query["step"]), parts[3]))
            return (404, {"data": None}) if body is None else (200, body)
        found_run = next((run for run in self.runs if str(run["id"]) == parts[1]), None)
        return (200, {"data": found_run}) if found_run else (404, {"data": None})

    def _page(self, name: str, query: dict[str, str]) -> Json:
        rows = getattr(self, name)
        if name == "runs":
            assert query["order_by"] == "-id", query
            rows = sorted(rows, key=lambda run: -run["id"])
            rows = [copy.copy(run) for run in rows]
            for run in rows if not self.lists_steps else ():
                run["run_steps"] = []
        for key in ("job_definition_id", "environment_id"):
            if key in query:
                rows = [row for row in rows if str(row[key]) == query[key]]
        offset = int(query["offset"])
        limit = min(int(query["limit"]), self.most_per_page)
        page = {"data": rows[offset : offset + limit]}
        total = {"pagination": {"count": len(page["data"]), "total_count": len(rows)}}
        return page | ({"extra": total} if self.tells_totals else {})

    def _graphql(self, body: Json) -> Json:
        if self.graphql_errors:
            return {"data": None, "errors": self.graphql_errors}
        variables = body["variables"]
        if variables["environmentId"] != PRODUCTION:
            return {"data": {"environment": None}}
        begin = int(variables["after"] or 0)
        end = begin + min(self.models_per_page, variables["first"])
        models = {
            "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(self.models)},
            "edges": [{"node": model} for model in self.models[begin:end]],
        }
        return {"data": {"environment": {"applied": {"models": models}}}}


def invocation_id(run_id: int, step: int) -> str:
    """Which invocation a step of a run is."""
    return f"00000000-0000-4000-8000-{run_id:08d}{step:04d}"


def model(unique_id: str, run_id: int, status: str) -> Json:
    """A model as the Discovery API tells of it."""
    info = {
        "lastRunId": run_id,
        "lastRunStatus": status,
        "lastRunGeneratedAt": "2026-11-20T10:01:55.000Z",
    }
    return {"uniqueId": unique_id, "executionInfo": info}


@contextmanager
def serving() -> Iterator[DbtCloud]:
    """A dbt Cloud without runs, on a port of its own."""
    cloud = DbtCloud()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._answer(json.loads(self.rfile.read(length)))

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: Json) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(parts.path, query, body, self.headers["Authorization"])
            with cloud._lock:
                cloud.asked.append(asked)
                cloud._at_once += 1
                cloud.most_at_once = max(cloud.most_at_once, cloud._at_once)
                faults = cloud.faults.get(_short(asked)) or cloud.faults.get(_name(asked)) or []
                fault = faults.pop(0) if faults else Fault()
            try:
                if cloud.gate and _name(asked) == "run_results.json":
                    cloud.gate.wait(PATIENCE_S)
                self._send(asked, fault)
                if cloud.on_fault and fault.status != 200:
                    cloud.on_fault()
            finally:
                with cloud._lock:
                    cloud._at_once -= 1

        def _send(self, asked: Asked, fault: Fault) -> None:
            status, content = cloud.answer(asked)
            if asked.authorization != f"Token {TOKEN}":
                status, content = 401, {"status": {"code": 401, "user_message": "Invalid token."}}
            if fault.status != 200:
                status, content = fault.status, {"status": {"code": fault.status}}
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            content = content if fault.body is None else fault.body
            headers = {"Content-Type": "application/json"} | fault.headers
            headers.setdefault("Content-Length", str(len(content)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if fault.cut else content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _name(asked: Asked) -> str:
    return asked.path.rstrip("/").rpartition("/")[2]


def _short(asked: Asked) -> str:
    name = _name(asked)
    if "/artifacts/" not in asked.path:
        return name
    run_id = asked.path.rpartition("/artifacts/")[0].rpartition("/")[2]
    return f"{run_id}/{asked.query['step']}/{name}"
