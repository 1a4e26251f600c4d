"""What runs leave, for benchmarks of the ledger: Meltano's log, dbt's log, dbt's artifacts.

In the shapes of a demo run: 250 lines of Meltano's log, 200 nodes of dbt with 5 MB of events,
results of 450 KB, a manifest of 2.5 MB. One run begins each minute.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrate.ledger.model import TABLES
from orchestrate.ledger.store import Ledger
from tests.meltano_log import RUN_ID, START, Log

MANIFEST = "manifests/493c35dd6bb795ed3f39a53f2a37f8e8b6cca5073c6f033732250e805164bb85.json"
INVOCATION = "5ca1ab1e-77f2-4c86-9d0b-3e5a1c2f4b60"
MINUTE = f"{START:%Y-%m-%dT%H:%M}"
STREAMS = tuple(f"stream_{number:02}" for number in range(20))
MODELS = tuple(f"model.sentry.int_part_of_day_{number:03}" for number in range(100))
TESTS = tuple(
    f"test.sentry.unique_combination_int_part_of_day_{number:03}_project_id__day.1a225b8c{number:02}"
    for number in range(100)
)
NODES = MODELS + TESTS
SQL = "select\n    project_id,\n    count(*) as errors\nfrom staging.stg_sentry__events\n" * 18
OF_LINE = {
    "_logger": "<_FixedFindCallerLogger meltano.plugin.stderr.extractors.tap-sentry (INFO)>",
    "_name": "info",
}
OF_PLUGIN = {
    "job_name": "demo:tap-sentry-to-target-duckdb",
    "pid": 18573,
    "thread_name": "MainThread",
    "app_name": "singer-sdk",
    "plugin_logger": "tap-sentry.stream",
}


class Left:
    """What the run of that number leaves: Meltano's log, dbt's log, dbt's artifacts."""

    def __init__(self, folder: Path) -> None:
        self.small = _small(folder / "small.jsonl")
        self.meltano = _meltano(folder / "meltano.jsonl")
        self.events = _events()
        self._facts = json.dumps(_facts()).encode()
        self._results = json.dumps(_results()).encode()
        self._manifest = json.dumps(_manifest()).encode()

    def leave(self, output: Path, at: int) -> None:
        """All of one run, behind what is there."""
        for path, text in (
            (output / "logs/meltano.jsonl", self.meltano),
            (output / "demo/dbt/logs/dbt.log", self.events),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(of(text, at))
        self.archive(output, at)

    def archive(self, output: Path, at: int) -> None:
        """What dbt's launcher keeps of its invocation."""
        runs = output / "demo/dbt/runs"
        started = START + timedelta(minutes=at, seconds=30)
        folder = runs / f"{started:%Y%m%dT%H%M%SZ}-{of(INVOCATION.encode(), at).decode()}"
        folder.mkdir(parents=True)
        (folder / "invocation.json").write_bytes(of(self._facts, at))
        (folder / "run_results.json").write_bytes(of(self._results, at))
        if not (runs / MANIFEST).exists():
            (runs / MANIFEST).parent.mkdir()
            (runs / MANIFEST).write_bytes(self._manifest)


def of(text: bytes, at: int) -> bytes:
    """The same of the run of that number."""
    text = text.replace(RUN_ID[:8].encode(), f"{int(RUN_ID[:8], 16) + at:08x}".encode())
    # Ids of invocations come in no order.
    digits = (int(INVOCATION[:8], 16) + at * 2654435761) % 2**32
    text = text.replace(INVOCATION[:8].encode(), f"{digits:08x}".encode())
    return text.replace(MINUTE.encode(), f"{START + timedelta(minutes=at):%Y-%m-%dT%H:%M}".encode())


def _small(path: Path) -> bytes:
    log = Log(path)
    log.extract()
    log.dbt(12, "ok      0.11 s  stg_sentry__issues (view)")
    log.dbt(13, "ok      1.20 s  issues (incremental)")
    log.block(14, 1, 3)
    log.completed(15)
    return path.read_bytes()


class _FullLog(Log):
    """Lines as long as Meltano's."""

    def line(self, seconds: float, event: str, **fields: Any) -> None:
        plugin = OF_PLUGIN if "string_id" in fields else {}
        super().line(seconds, event, **{**plugin, **fields, **OF_LINE})


def _meltano(path: Path) -> bytes:
    log = _FullLog(path)
    log.started(0)
    log.line(0.1, f"Running job with name 'demo:tap-sentry' and run ID '{RUN_ID}'")
    for place, stream in enumerate(STREAMS, 1):
        tags = {"stream": stream, "context": {}}
        log.tap(place, f"Beginning sync of '{stream}' in incremental mode")
        log.tap(place, f"Starting incremental sync of '{stream}' with bookmark value: {MINUTE}")
        log.metric(place + 0.5, "sync_duration", 0.5, **tags, status="succeeded")
        log.metric(place + 0.5, "record_count", 1234, **tags)
        log.stored(place + 0.6, stream, 1234)
        log.told(25, "stream_request_count", 13, stream=stream, planned_rows=9, planned_requests=9)
        log.told(25, "bookmark", 1_795_000_000.5, stream=stream, parts=1)
        log.told(25, "http_request_count", 13, endpoint=f"/{stream}/", retries=0)
        log.tap(25, f"{stream}: 1,234 rows, 13 requests (planned: 1,234 rows, 13 requests)")
    log.block(29, 0, 29)
    for node in NODES[50:114]:
        log.dbt(45, f"ok      0.11 s  {_name(node)} (view)")
    log.block(58, 1, 29)
    log.completed(59)
    return path.read_bytes()


def _events() -> bytes:
    """About 3,800 events of one `dbt build`, most of whose bytes are SQL."""
    lines: list[str] = []

    def event(second: int, name: str, **data: Any) -> None:
        told = str(data.get("sql") or f"{name} {data.get('conn_name', '')}")
        info: dict[str, Any] = {"category": "", "code": "Q024", "extra": {"MELTANO_RUN_ID": RUN_ID}}
        info |= {"invocation_id": INVOCATION, "level": "debug", "msg": told, "name": name}
        info |= {"pid": 17355, "thread": "Thread-1 (worker)", "ts": f"{MINUTE}:{second}.250000Z"}
        lines.append(json.dumps({"data": data, "info": info}))

    event(31, "MainReportVersion", log_version=3, version="=1.11.16")
    event(31, "MainReportArgs", args={"invocation_command": "dbt build"})
    event(32, "ConcurrencyLine", num_threads=4, target_name="warehouse", node_count=len(NODES))
    for place, node in enumerate(NODES):
        second = 33 + place // 10
        node_info = {
            "materialized": "view" if node in MODELS else "test",
            "meta": {},
            "node_checksum": "ce1dcf23a10b78ac78bf0c12f6027708874a27b10a22028d15655d494a4b1a5f",
            "node_name": _name(node),
            "node_path": f"intermediate/{_name(node)}.sql",
            "node_relation": {"alias": _name(node), "relation_name": _relation(node)},
            "node_started_at": f"{MINUTE}:{second}.000000",
            "unique_id": node,
        }
        for name in ("NodeStart", "LogStartLine", "NodeCompiling", "WritingInjectedSQLForNode"):
            event(second, name, node_info=node_info)
        event(second, "NodeExecuting", node_info=node_info)
        for _ in range(4):
            event(second, "ConnectionUsed", conn_name=node, conn_type="duckdb")
            event(second, "SQLQuery", conn_name=node, sql=SQL)
            event(second, "SQLQueryStatus", elapsed=0.0235, query_id="", status="OK")
        event(second, "LogModelResult", node_info=node_info, status="OK")
        event(second, "NodeFinished", node_info=node_info, run_result=_result(second))
    event(58, "CommandCompleted", command="cli build", elapsed=27.5, success=True)
    return "\n".join([*lines, ""]).encode()


def _facts() -> dict[str, Any]:
    return {
        "invocation_id": INVOCATION,
        "arguments": ["build"],
        "started_at": f"{MINUTE}:30.500000+00:00",
        "finished_at": f"{MINUTE}:58.500000+00:00",
        "exit_code": 0,
        "environment": "demo",
        "run_id": RUN_ID,
        "manifest": MANIFEST,
    }


def _results() -> dict[str, Any]:
    results = [
        {
            **_result(33 + place // 10),
            "unique_id": node,
            "compiled_code": SQL + node,
            "relation_name": _relation(node) or None,
        }
        for place, node in enumerate(NODES)
    ]
    return {"metadata": {"dbt_version": "1.11.16", "invocation_id": INVOCATION}, "results": results}


def _result(second: int) -> dict[str, Any]:
    at = f"{MINUTE}:{second}"
    timing = [
        {"name": name, "started_at": f"{at}.2Z", "completed_at": f"{at}.4Z"}
        for name in ("compile", "execute")
    ]
    told = {"status": "success", "message": "OK", "thread_id": "Thread-1 (worker)"}
    return {**told, "timing": timing, "timing_info": timing, "adapter_response": {"_message": "OK"}}


def _manifest() -> dict[str, Any]:
    nodes = {
        node: {
            "unique_id": node,
            "name": _name(node),
            "resource_type": node.partition(".")[0],
            "package_name": "sentry",
            "schema": "intermediate",
            "alias": _name(node),
            "original_file_path": f"models/intermediate/{_name(node)}.sql",
            "tags": [],
            "config": {"materialized": "view", "schema": "intermediate", "meta": {}},
            "depends_on": {"nodes": list(NODES[max(place - 2, 0) : place])},
            "raw_code": SQL * 4,
            "compiled_code": SQL * 4,
        }
        for place, node in enumerate(NODES)
    }
    return {"metadata": {"project_name": "sentry", "adapter_type": "duckdb"}, "nodes": nodes}


def _name(node: str) -> str:
    return node.split(".")[2]


def _relation(node: str) -> str:
    """Tests have none."""
    return f'"warehouse"."intermediate"."{_name(node)}"' if node in MODELS else ""


def multiply(ledger: Ledger, runs: int, apart_us: int) -> None:
    """Put copies of the one run into the ledger until there are so many, each so much later."""
    changed = {
        "run_id": f"replace(run_id, '{RUN_ID[:8]}', printf('%08x', 0x{RUN_ID[:8]} + copy))",
        "trace_id": f"replace(trace_id, '{RUN_ID[:8]}', printf('%08x', 0x{RUN_ID[:8]} + copy))",
        "invocation_id": f"replace(invocation_id, '{INVOCATION[:8]}', "
        f"printf('%08x', (0x{INVOCATION[:8]} + copy * 2654435761) % 4294967296))",
    }
    with ledger.writing():
        for table in TABLES:
            names = table.__struct_fields__
            if not {"run_id", "invocation_id"}.intersection(names):
                continue
            values = [
                changed.get(name)
                or (f"{name} + copy * {apart_us}" if name.endswith("_us") else name)
                for name in names
            ]
            ledger.execute(
                f"insert into {table.TABLE} ({', '.join(names)}) "  # noqa: S608
                "with recursive copies (copy) as "
                "(values (1) union all select copy + 1 from copies where copy < ?) "
                f"select {', '.join(values)} from copies cross join {table.TABLE}",
                [runs - 1],
            )
