"""One run as one HTML file: waterfall, threads, links, critical path, logs.

The file asks nothing of any network and works from a folder. What it says of itself in its policy
a browser holds it to: only its own script and style run, so that no name, message or log line of a
run can become code. https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from orchestrate.ledger.model import TESTS, PipelineRun, Record
from orchestrate.tracing.critical_path import critical_path
from orchestrate.tracing.model import Span
from orchestrate.tracing.page_data import data, state_of, title

_HERE = Path(__file__).parent
# One script in the end: the last one starts what the others declare.
_SCRIPTS = ("page_waterfall.js", "page_graph.js", "page_views.js", "page.js")
# A symbol for each state, so that colour is never the only sign; page.js has the same.
SYMBOLS = {
    "ok": "✓",
    "warned": "!",
    "failed": "✕",
    "killed": "■",
    "skipped": "–",  # noqa: RUF001
    "reused": "↻",
    "running": "…",
    "unknown": "?",
}
_BROKEN = ("failed", "killed")
_SHOWN_BROKEN = 8


def page(record: Record, spans: Sequence[Span]) -> str:
    """The HTML document that shows a run.

    Args:
        record: What the ledger knows of the run.
        spans: The run's spans, as `orchestrate.tracing.spans` gives them.
    """
    drawn = data(record, spans, critical_path(spans))
    style = (_HERE / "page.css").read_text("utf-8")
    script = "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)
    run = record.run
    state = state_of(run.result.value if run.result else None, under_way=True)
    return Template((_HERE / "page.html").read_text("utf-8")).substitute(
        title=escape(f"{SYMBOLS[state]} {title(run)}, {_instant(run.started_us)}"),
        job=escape(title(run)),
        state=state,
        result=f"{SYMBOLS[state]} {run.result.value if run.result else 'running'}",
        error=f'<p class="error">{escape(run.error)}</p>' if run.error else "",
        facts="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _facts(run)),
        numbers="".join(f"<li>{text}</li>" for text in _numbers(record)),
        previous=_previous(record),
        broken=_broken(drawn["spans"]),
        steps=_steps(record),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_as_script(drawn),
    )


def seconds(value_s: float) -> str:
    """A duration for people: `42 ms`, `0.84 s`, `12.3 s`, `3 min 05 s`, `1 h 02 min`."""
    if value_s < 0.0995:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 9.995:
        return f"{value_s:.2f} s"
    if value_s < 59.95:
        return f"{value_s:.1f} s"
    whole = round(value_s)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _facts(run: PipelineRun) -> Iterable[tuple[str, str]]:
    """Names and HTML values of what tells one run from another."""
    yield "Environment", escape(run.environment or "none")
    iso = datetime.fromtimestamp(run.started_us / 1e6, timezone.utc).isoformat()
    yield "Started", f'<time datetime="{iso}">{_instant(run.started_us)}</time>'
    if run.ended_us is not None:
        yield "Duration", seconds((run.ended_us - run.started_us) / 1e6)
    else:
        yield "Last heard after", seconds((run.heard_us - run.started_us) / 1e6)
    yield "Run id", f"<code>{escape(run.run_id)}</code>"
    if run.revision:
        branch = f" on {escape(run.branch)}" if run.branch else ""
        yield "Revision", f"<code>{escape(run.revision[:10])}</code>{branch}"
    if run.host:
        yield "Host", escape(run.host)
    if run.trigger:
        yield "Started by", escape(run.trigger)


def _numbers(record: Record) -> Iterable[str]:
    """HTML sentences that count what the run did."""
    if record.streams:
        yield _count(len(record.streams), "stream")
        yield _count(sum(stream.rows for stream in record.streams), "row")
    if record.requests:
        yield _count(sum(total.requests for total in record.requests), "request")
        yield _count(sum(total.retries for total in record.requests), "retry", "retries")
    models = [node for node in record.nodes if node.resource_type == "model"]
    tests = [node for node in record.nodes if node.resource_type in TESTS]
    for name, nodes in (("model", models), ("test", tests)):
        if nodes:
            yield _count(len(nodes), name) + _ended(nodes)
    if record.skipped:
        yield _count(len(record.skipped), "part") + " that Sentry would not give"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"<b>{number:,}</b> {one if number == 1 else many or one + 's'}"


def _ended(nodes: Iterable[Any]) -> str:
    states = [state_of(node.status, under_way=False) for node in nodes]
    words = {"ok": "passed", "warned": "warned", "failed": "failed", "killed": "killed"}
    words |= {"skipped": "skipped", "reused": "reused"}
    found = [(state, states.count(state)) for state in words if state in states]
    if [state for state, _ in found] == ["ok"]:
        return ' <span class="ok">✓ all passed</span>'
    told = (
        f'<span class="{state}">{SYMBOLS[state]} {n} {words[state]}</span>' for state, n in found
    )
    return ": " + ", ".join(told) if found else ""


def _previous(record: Record) -> str:
    before = record.previous
    if before is None:
        return "No earlier run of this job in this environment."
    state = state_of(before.result.value if before.result else None, under_way=True)
    word = before.result.value if before.result else "running"
    text = f'Previous run: <b class="{state}">{SYMBOLS[state]} {word}</b>'
    if before.ended_us is not None:
        lasted = (before.ended_us - before.started_us) / 1e6
        text += f" in {seconds(lasted)}"
        if record.run.ended_us is not None:
            more = (record.run.ended_us - record.run.started_us) / 1e6 - lasted
            text += f" (this one {seconds(abs(more))} {'longer' if more >= 0 else 'shorter'})"
    return f"{text}, {_instant(before.started_us)}, <code>{escape(before.run_id)}</code>"


def _broken(spans: Sequence[dict[str, Any]]) -> str:
    """What broke: the innermost spans that failed or were killed, with their messages."""
    bad = [
        place
        for place, span in enumerate(spans)
        if span["state"] in _BROKEN and span["kind"] != "phase"
    ]
    above = {spans[place].get("up") for place in bad}
    # Of the run itself the header tells.
    inner = [place for place in bad if place not in above and spans[place]["kind"] != "run"]
    if not inner:
        return ""
    rows = "".join(
        f'<li><a href="#span={spans[place]["id"]}" data-span="{place}">'
        f"{SYMBOLS[spans[place]['state']]} {escape(spans[place]['name'])}</a> "
        f"{escape(spans[place].get('note', '').strip())}</li>"
        for place in inner[:_SHOWN_BROKEN]
    )
    more = len(inner) - _SHOWN_BROKEN
    rest = f"<li>and {more} more, under “Only failed”</li>" if more > 0 else ""
    return f'<section class="broken"><h2>What broke</h2><ul>{rows}{rest}</ul></section>'


def _steps(record: Record) -> str:
    rows = []
    for step in record.steps:
        word = step.result.value if step.result else None
        state = state_of(word, under_way=record.run.result is None)
        lasted = seconds((step.ended_us - step.started_us) / 1e6) if step.ended_us else ""
        told = f"{SYMBOLS[state]} {word or state}"
        cells = (escape(step.name), told, lasted, escape(step.error or ""))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "".join(rows)


def _instant(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _as_script(value: Any) -> str:
    """JSON in which nothing can end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
