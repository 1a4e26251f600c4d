"""What broke first in a run: as a rule the rest follows from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from orchestrate.ledger.model import FAILED
from orchestrate.ledger.store import Ledger

_LISTED = "run_id in (select value from json_each(?))"
_FAILED = ", ".join(f"'{status}'" for status in sorted(FAILED))
_BROKEN_NODES = f"""
select run_id, resource_type || ' ' || name, message
from dbt_invocation inner join node_run using (invocation_id)
where {_LISTED} and status in ({_FAILED})
order by node_run.ended_us, unique_id
"""  # noqa: S608
_BROKEN_INVOCATIONS = f"""
select run_id, 'dbt ' || command, error from dbt_invocation
where {_LISTED} and error is not null
order by started_us
"""  # noqa: S608
_ERRORS = f"""
select run_id, source, text from log_event
where {_LISTED} and level in ('error', 'critical') and source <> 'meltano'
order by number
"""  # noqa: S608
_WHERE_IT_WAS = re.compile(r"\w+ Error( in \w+ \S+ \(.+\))?")


def causes(ledger: Ledger, errors: Mapping[str, str | None]) -> dict[str, str | None]:
    """What broke first in each of these runs, as dbt or a plugin put it.

    Args:
        ledger: Where the runs are.
        errors: By run id what the run itself says, which holds where nobody put it better.
    """
    told: dict[str, str] = {}
    for text in (_BROKEN_NODES, _BROKEN_INVOCATIONS, _ERRORS) if errors else ():
        broken: dict[str, list[tuple[str, str | None]]] = {}
        for run_id, name, message in ledger.select(text, [json.dumps(list(errors))]):
            broken.setdefault(run_id, []).append((name, message))
        for run_id, found in broken.items():
            more = f" (and {len(found) - 1} more)" if text == _BROKEN_NODES and found[1:] else ""
            name, message = found[0]
            told.setdefault(run_id, f"{name}: {_gist(message)}{more}")
    return {**errors, **told}


def _gist(message: str | None) -> str:
    """The line of a message that says what is wrong."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    if len(lines) > 1 and _WHERE_IT_WAS.fullmatch(lines[0]):
        return lines[1]
    return lines[0] if lines else "no message"
