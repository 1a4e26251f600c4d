"""The seeds of `dbt build --target sample`. `python -m tests.sample` writes them.

They hold what the tap reads from the demo at NOW, as the loader stores it. The tap's own sampling
makes them small, so that traces stay whole and weights are right.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from tap_sentry import timestamps
from tap_sentry.demo import DemoSentry, World
from tap_sentry.streams import STREAMS
from tests.sync import NOW, sync

TRANSFORM = Path(__file__).parent.parent / "transform"
SEEDS = TRANSFORM / "seeds"
_SOURCES = TRANSFORM / "models/staging/sentry/_sentry__sources.yml"
_PROPERTIES = SEEDS / "sentry/_sample__seeds.yml"

# Seeds of the product have these names already.
SEED_NAMES = {"events": "sentry_events", "users": "sentry_users"}
_SAMPLING: dict[str, Any] = {"sample_fraction": 0.125, "min_events_per_issue": 2}
# A fortnight shows each weekday twice. Spans name releases that are older; of rows that are many or
# long and say little, a part.
_DAYS = {
    **{str(vars(stream)["name"]): 14 for stream in STREAMS},
    **dict.fromkeys(("releases", "release", "release_commits", "release_deploys"), 21),
    **dict.fromkeys(("monitor_checkins", "replays"), 5),
    **dict.fromkeys(("issue_detail", "user_feedback"), 3),
    "usage_outcomes": 0.5,
}

Columns = dict[str, str]


def files() -> dict[Path, str]:
    """Text by path: one CSV for each source table, and the file with their properties."""
    tables = declared_columns()
    made = {path_of(stream): text for stream, text in _csvs(tables).items()}
    made[_PROPERTIES] = _properties(tables)
    return made


def declared_columns() -> dict[str, Columns]:
    """The type of each column that staging reads, by table, with the loader's time of the batch."""
    (source,) = yaml.safe_load(_SOURCES.read_text(encoding="utf-8"))["sources"]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        | {"_sdc_batched_at": "timestamp"}
        for table in source["tables"]
    }


def path_of(stream: str) -> Path:
    # users, events and spans lie in one folder.
    folder = SEEDS if stream == "spans" else SEEDS / "sentry"
    return folder / f"{SEED_NAMES.get(stream, stream)}.csv"


def _csvs(tables: dict[str, Columns]) -> dict[str, str]:
    by_days: dict[float, list[str]] = defaultdict(list)
    for stream in tables:
        by_days[_DAYS[stream]].append(stream)
    texts = {}
    for days, streams in by_days.items():
        start = (NOW - timedelta(days=days)).isoformat()
        demo = DemoSentry(World(clock=lambda: NOW), limits=None)
        messages = sync(demo, *streams, start_date=start, **_SAMPLING)
        for stream in streams:
            rows = [row for _, row in sorted(messages.rows(stream).items())]
            texts[stream] = _csv(rows, tables[stream])
    return texts


def _csv(rows: list[dict[str, Any]], columns: Columns) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        stored = {name.lower(): value for name, value in row.items()}
        stored["_sdc_batched_at"] = NOW.isoformat()
        writer.writerow(_text(stored.get(name), kind) for name, kind in columns.items())
    return lines.getvalue()


def _text(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == "timestamp":
        moment = timestamps.parse(value).astimezone(timezone.utc)
        text = moment.replace(tzinfo=None).isoformat(sep=" ")
        return text.rstrip("0") if "." in text else text
    if kind in {"json", "boolean"}:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def _properties(tables: dict[str, Columns]) -> str:
    seeds = [
        {
            "name": path_of(stream).stem,
            "description": f"Raw rows of the stream {stream}, a sample of the demo.",
            "config": {
                "enabled": "{{ target.name == 'sample' }}",
                "schema": "sample",
                # An older sample in the file may have other columns.
                "full_refresh": True,
                "column_types": columns,
            },
        }
        for stream, columns in tables.items()
    ]
    text = yaml.safe_dump({"version": 2, "seeds": seeds}, sort_keys=False, width=110)
    return f"# Made by `python -m tests.sample`.\n{text}"


if __name__ == "__main__":
    _PROPERTIES.parent.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8", newline="\n")
