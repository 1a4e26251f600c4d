"""A sync of the tap in this process, its messages kept for the test to look at."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from requests.adapters import BaseAdapter
from singer_sdk.contrib.msgspec import MsgSpecWriter

from tap_sentry.tap import TapSentry

# A Friday at noon; worlds and runs of most tests live at this instant.
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
DEMO_URL = "https://demo.invalid"


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self, start: datetime = NOW) -> None:
        self.now_s = start.timestamp()
        self.slept_s = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        with self._lock:  # two threads at once must not turn it back
            self.now_s += seconds
            self.slept_s += seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, tz=timezone.utc)


@dataclass
class Messages:
    """What a sync wrote: records and schemas by stream, and every state in order."""

    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    schemas: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    states: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def rows(self, stream: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The stream's records by key, as an upserting loader would store them."""
        keys = self.schemas[stream][-1]["key_properties"]
        return {tuple(row[key] for key in keys): row for row in self.records[stream]}


class _Collector(MsgSpecWriter):
    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def write_message(self, message: Any) -> None:
        line = json.loads(bytes(self.serialize_message(message)))
        if line["type"] == "RECORD":
            self._messages.records[line["stream"]].append(line["record"])
        elif line["type"] == "SCHEMA":
            self._messages.schemas[line["stream"]].append(line)
        elif line["type"] == "STATE":
            self._messages.states.append(line["value"])


def sync(
    transport: BaseAdapter,
    *streams: str,
    state: dict[str, Any] | None = None,
    time: FakeTime | None = None,
    raises: Collection[type[Exception]] = (),
    change_tap: Callable[[TapSentry], None] = lambda _: None,
    **config: Any,
) -> Messages:
    """Sync some streams (all, if none is named) from a transport.

    Args:
        transport: Takes the place of the network.
        streams: Names of the streams to select.
        state: Bookmarks of an earlier sync.
        time: Clock and sleep of the tap.
        raises: Errors to keep in the answer instead of raising them.
        change_tap: Called with the tap before it syncs.
        config: Settings; rate_limit is out of the way unless it is given.
    """
    time = time or FakeTime()
    messages = Messages()
    tap = TapSentry(
        config={"base_url": DEMO_URL, "rate_limit": 100_000, **config},
        state=state,
        transport=transport,
        clock=time.clock,
        sleep=time.sleep,
        message_writer=_Collector(messages),
    )
    for name, stream in tap.streams.items():
        stream.selected = not streams or name in streams
    tap.setup_mapper()  # anew, for what is selected now
    change_tap(tap)
    try:
        tap.sync_all()
    except tuple(raises) as error:
        messages.error = error
    return messages
