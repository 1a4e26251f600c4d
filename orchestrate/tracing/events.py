"""What happens at one instant of a span: waits, retries, parts left out, warnings, ages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrate.ledger.model import FreshnessResult, LogEvent, RequestTotal, Retry, SkippedPart
from orchestrate.tracing.attributes import known, without_sql
from orchestrate.tracing.model import Event

LOG_LIMIT = 50
_TOLD_LEVELS = {"warning", "error", "critical"}


def retry(found: Retry) -> Event:
    """A request is asked again. The span is that of the step: nothing tells for which stream."""
    facts = {
        "singer.endpoint": found.endpoint,
        "singer.retry.reason": found.reason,
        "singer.retry.wait_s": found.wait_s,
    }
    return Event(name="http.retry", at_us=found.at_us, attributes=known(facts))


def requests(total: RequestTotal, at_us: int) -> Event:
    """What a family of endpoints was asked in all, and how long it held back: known at the end."""
    facts = {
        "singer.endpoint": total.endpoint,
        "singer.requests": total.requests,
        "singer.retries": total.retries,
        "singer.waited_s": total.waited_s,
    }
    return Event(name="http.requests", at_us=at_us, attributes=known(facts))


def skip(part: SkippedPart, at_us: int) -> Event:
    """Nothing tells when a part was skipped: it is known at the end."""
    facts = {
        "singer.stream": part.stream,
        "singer.skipped.part": part.part,
        "singer.skipped.reason": part.reason,
    }
    return Event(name="singer.skipped", at_us=at_us, attributes=known(facts))


def logs(lines: Iterable[LogEvent]) -> tuple[list[Event], int]:
    """Warnings and errors, the first ones, and how many there are more."""
    found = list(_told(lines))
    return found[:LOG_LIMIT], max(0, len(found) - LOG_LIMIT)


def _told(lines: Iterable[LogEvent]) -> Iterator[Event]:
    for line in lines:
        text, level = without_sql(line.text), line.level.lower()
        if level in _TOLD_LEVELS and text:
            facts = {
                "meltano.log.level": level,
                "meltano.log.source": line.source,
                "meltano.log.text": text,
            }
            yield Event(name="log", at_us=line.at_us, attributes=known(facts))


def freshness(found: FreshnessResult, end: int) -> Event:
    """On the invocation, not the node: dbt writes the ages when all is done."""
    facts = {
        "dbt.node.unique_id": found.unique_id,
        "dbt.freshness.status": found.status,
        "dbt.freshness.age_s": found.age_s,
        "dbt.freshness.warn_after_s": found.warn_after_s,
        "dbt.freshness.error_after_s": found.error_after_s,
    }
    at_us = end if found.snapshotted_at_us is None else found.snapshotted_at_us
    return Event(name="dbt.freshness", at_us=at_us, attributes=known(facts))
