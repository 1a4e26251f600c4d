"""How things ended: in the words of the conventions, as a status, and in which class of errors.

https://opentelemetry.io/docs/specs/semconv/general/recording-errors/
"""

from __future__ import annotations

import re
from typing import Any

from orchestrate.ledger.model import Result
from orchestrate.tracing.attributes import first_line
from orchestrate.tracing.model import Status

OTHER_ERROR = "_OTHER"
_EXIT_CODE = re.compile(r"exit code:? (-?\d+)")
_FAILED = re.compile(r"(Extractor and loader|Extractor|Loader|Mappers) failed")

# `failure` is what a pipeline does wrong, `error` what is done to it. Who killed one, nobody knows:
# no cancellation. https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/
_RUN_RESULTS = {
    Result.SUCCESS: "success",
    Result.FAILURE: "failure",
    Result.TIMEOUT: "timeout",
    Result.KILLED: "error",
}
_NODE_RESULTS = {
    "success": "success",
    "pass": "success",
    "warn": "success",
    "fail": "failure",
    "error": "failure",
    "runtime error": "failure",
    "partial success": "failure",
    "killed": "error",
    "no-op": "skip",
    "reused": "skip",
    "skipped": "skip",
}


def run_result(result: Result | None) -> str | None:
    """How a run or a task ended, in the convention's words; None while it is under way."""
    return _RUN_RESULTS[result] if result else None


def node_result(status: str | None) -> str | None:
    """How a node ended, in the convention's words; None while it is under way."""
    return _NODE_RESULTS.get(status or "")


def error_type(
    result: Result | None, error: str | None, exit_code: int | None = None
) -> str | None:
    """A class of few values for what went wrong; None where nothing did."""
    if result in {Result.KILLED, Result.TIMEOUT}:
        return str(result.value)
    if result is not Result.FAILURE:
        return None
    if exit_code:
        return f"exit_code_{exit_code}"
    if found := _EXIT_CODE.search(error or ""):
        return f"exit_code_{found[1]}"
    if found := _FAILED.search(error or ""):
        return found[0].lower().replace(" ", "_")
    return OTHER_ERROR


def verdict(result: Result | None, error: str | None) -> dict[str, Any]:
    """A span's status and its message."""
    if result is None:
        return {"status": Status.UNSET}
    if result is Result.SUCCESS:
        return {"status": Status.OK}
    return {"status": Status.ERROR, "status_message": first_line(error) or result.value}
