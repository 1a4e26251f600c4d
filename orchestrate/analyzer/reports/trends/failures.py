"""What failed and why: messages that differ only in names and numbers, brought together."""

from __future__ import annotations

import re

import pandas as pd

from orchestrate.analyzer.history import History
from orchestrate.ledger.model import FAILED

_NAMED_PLACES = 5
_WHERE_IT_WAS = re.compile(r"\w+ Error( in \w+ \S+ \(.+\))?")
# In this order: what one leaves, the next need not tell apart. Numbers that say what went wrong,
# as in `answered 503` or `exit code 1`, stay.
_VARIABLE = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (
        re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"),
        "<time>",
    ),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`"), "<name>"),
    (re.compile(r"(?<!answered )(?<!HTTP )(?<!code )(?<![\w.])\d+(?:[.,:]\d+)*"), "<n>"),
)


def gist(message: str) -> str:
    """The line of a message that says what is wrong."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and _WHERE_IT_WAS.fullmatch(lines[0]):
        return lines[1]
    return lines[0] if lines else "no message"


def cause(message: str) -> str:
    """A message's gist without what differs from time to time: names, ids, instants, numbers."""
    text = gist(message)
    for pattern, word in _VARIABLE:
        text = pattern.sub(word, text)
    return text


def causes(history: History) -> pd.DataFrame:
    """What failed and why, the most frequent first: a row for each cause and kind of thing.

    An error of a run, of a command or of a call of dbt that follows from one of its nodes, or of
    its tap, is not counted again. `places` is how many nodes, streams or jobs had it.
    """
    found = pd.concat([_node_errors(history), _step_errors(history)], ignore_index=True)
    for later in (_call_errors(history), _command_errors(history), _run_errors(history)):
        found = pd.concat([found, later[~later["run_id"].isin(set(found["run_id"]))]])
    found = found.sort_values("at", kind="stable", ignore_index=True)
    known = {text: cause(text) for text in found["message"].unique()}
    found["cause"] = found["message"].map(known)
    columns = ["kind", "cause", "times", "runs", "places", "where", "first_seen", "last_seen"]
    if found.empty:
        return pd.DataFrame(columns=[*columns, "example"])
    groups = found.groupby(["kind", "cause"], sort=False)
    frame = groups.agg(
        times=("message", "size"),
        runs=("run_id", "nunique"),
        places=("where", "nunique"),
        where=("where", lambda names: names.value_counts().index[:_NAMED_PLACES].tolist()),
        first_seen=("at", "min"),
        last_seen=("at", "max"),
        example=("message", "last"),
    ).reset_index()
    frame = frame.sort_values(["times", "last_seen"], ascending=False, ignore_index=True)
    return frame[[*columns, "example"]]


def _errors(frame: pd.DataFrame, *, kind: str, where: str, at: str, message: str) -> pd.DataFrame:
    kinds = frame[kind].astype("object") if kind in frame.columns else kind
    texts = frame[message].astype("object")
    return pd.DataFrame(
        {
            "run_id": frame["run_id"].astype("object"),
            "kind": kinds,
            "where": frame[where].astype("object"),
            "at": frame[at],
            "message": texts.where(texts.notna(), "no message"),
        }
    )


def _node_errors(history: History) -> pd.DataFrame:
    nodes = history.nodes
    # One that was killed said nothing: its run does.
    broken = nodes[nodes["status"].isin(sorted(FAILED))]
    begun = history.invocations.set_index("invocation_id")["started_at"]
    called = begun.reindex(broken["invocation_id"].astype("object")).set_axis(broken.index)
    ended = broken["ended_at"].fillna(called)
    broken = broken.assign(at=ended)
    return _errors(broken, kind="resource_type", where="name", at="at", message="message")


def _step_errors(history: History) -> pd.DataFrame:
    """Of taps and targets: where streams broke off, each of those."""
    steps = history.steps[history.steps["kind"] == "extract_load"].dropna(subset=["error"])
    broken = history.streams[history.streams["result"].isin(["failure", "killed", "timeout"])]
    keys = ["run_id", "position"]
    runs = history.runs.set_index("run_id")["error"].astype("object")
    fuller = steps["run_id"].astype("object").map(runs).fillna("")
    error = steps["error"].astype("object")
    # Of a run that failed for this, Meltano says more.
    is_fuller = [short in long for short, long in zip(error, fuller, strict=True)]
    steps = steps.assign(error=fuller.where(pd.Series(is_fuller, index=steps.index), error))
    told = steps[[*keys, "name", "error", "ended_at", "started_at"]].merge(
        broken[[*keys, "stream"]], on=keys, how="left"
    )
    told["at"] = told["ended_at"].fillna(told["started_at"])
    told["where"] = told["stream"].astype("object").fillna(told["name"].astype("object"))
    told["what"] = told["stream"].notna().map({True: "stream", False: "step"})
    return _errors(told, kind="what", where="where", at="at", message="error")


def _call_errors(history: History) -> pd.DataFrame:
    calls = history.invocations.dropna(subset=["error"])
    return _errors(calls, kind="call of dbt", where="command", at="ended_at", message="error")


def _command_errors(history: History) -> pd.DataFrame:
    steps = history.steps.dropna(subset=["error"])
    steps = steps.assign(at=steps["ended_at"].fillna(steps["started_at"]))
    return _errors(steps, kind="step", where="name", at="at", message="error")


def _run_errors(history: History) -> pd.DataFrame:
    runs = history.runs[history.runs["result"].isin(["failure", "killed", "timeout"])]
    runs = runs.assign(error=runs["error"].astype("object").fillna(runs["result"].astype("object")))
    return _errors(runs, kind="run", where="job", at="heard_at", message="error")
