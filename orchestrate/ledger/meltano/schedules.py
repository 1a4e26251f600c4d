"""The schedules of meltano.yml and of the files that it includes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from orchestrate.ledger.store import LedgerError

# What Meltano understands beside a crontab line. Its others (@once, @manual, @none) have no times.
_CRONTABS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Schedule(NamedTuple):
    """A schedule of meltano.yml that starts a job at set times. `crontab` has five fields."""

    name: str
    job: str
    crontab: str


def schedules(project: Path) -> list[Schedule]:
    """The schedules of jobs that come round at set times, of meltano.yml and what it includes.

    Raises:
        LedgerError: If one of the files can't be read.
    """
    main = project / "meltano.yml"
    content = _yaml(main)
    try:
        patterns = content.get("include_paths") or []
        paths = dict.fromkeys(path for pattern in patterns for path in project.glob(pattern))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise LedgerError(
            f"Cannot read the schedules of {main}: include_paths: {error}. "
            "Name files by patterns that begin in the project's folder."
        ) from error
    found = []
    for file in [content, *(_yaml(path) for path in paths if path != main)]:
        for entry in _entries(file.get("schedules"), main):
            interval = str(entry.get("interval", "")).strip()
            crontab = _CRONTABS.get(interval.lower(), interval)
            if entry.get("name") and entry.get("job") and len(crontab.split()) == 5:
                found.append(Schedule(str(entry["name"]), str(entry["job"]), crontab))
    return found


def _entries(listed: object, main: Path) -> list[dict[str, Any]]:
    entries = listed or []
    if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
        return entries
    raise LedgerError(
        f"Cannot read the schedules of {main}, or of a file that it includes: they are no list of "
        "entries with a name. Correct them."
    )


def _yaml(path: Path) -> dict[str, Any]:
    asked = f"Cannot read the schedules of {path}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(
            f"{asked}: {error.strerror}. Run this in the project's folder."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise LedgerError(f"{asked}: it is no YAML{where}. Correct the file.") from error
    return content if isinstance(content, dict) else {}
