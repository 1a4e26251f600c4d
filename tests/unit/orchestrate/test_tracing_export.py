"""Export over OTLP: what stands in the bytes, and what becomes of runs that can't go out."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import requests
from opentelemetry.proto.trace.v1 import trace_pb2

from orchestrate.ledger import queries
from orchestrate.ledger.identity import span_id
from orchestrate.ledger.model import Delivery, LogEvent, Record, Result, SentSpan
from orchestrate.ledger.store import Ledger
from orchestrate.tracing import export
from orchestrate.tracing.attributes import resource
from orchestrate.tracing.export import Outcome, deliver
from orchestrate.tracing.model import Event, Kind, Link, Span, Status
from orchestrate.tracing.otlp import NotSent, Sender
from orchestrate.tracing.settings import LOGS, TRACES, Target, targets
from orchestrate.tracing.spans import spans
from tests.otlp import Receiver, attributes, free_port, without_otel
from tests.unit.orchestrate import records

TRACE = "01a1ffd756397d5b969c4958b9dbe0c3"
OTHER_TRACE = "f" * 32
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ONLY_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
DAY_US = 86_400_000_000
NOW_US = records.at(3600)


@pytest.fixture(autouse=True)
def environ() -> Iterator[MutableMapping[str, str]]:
    """The process's own variables, since the SDK reads those: without OpenTelemetry's at first."""
    with without_otel() as variables:
        yield variables


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def rows_of(record: Record) -> list[Any]:
    found: list[Any] = [record.run]
    for name in ("steps", "streams", "requests", "retries", "skipped", "invocations", "nodes"):
        found += getattr(record, name)
    return [*found, *record.freshness, *record.manifest_nodes, *record.logs]


def keep(ledger: Ledger, *found: Record) -> None:
    with ledger.writing():
        for record in found:
            ledger.save(rows_of(record))


def small(number: int, **fields: Any) -> Record:
    """A run without parts but two lines of its log, the n-th minute's."""
    run_id = f"0000000{number}-0000-4000-8000-000000000000"
    begin_us = records.at(60 * number)
    facts = {"started_us": begin_us, "heard_us": begin_us + 1, "ended_us": begin_us + 1}
    lines = [
        LogEvent(
            run_id=run_id, number=n, at_us=begin_us, level="info", source="meltano", text=str(n)
        )
        for n in (1, 2)
    ]
    return Record(run=records.run(run_id, **(facts | fields)), logs=lines)


def span(**fields: Any) -> Span:
    facts: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": "00000000000000aa",
        "parent_id": "00000000000000bb",
        "name": "mart_health",
        "started_us": 1_000_001,
        "ended_us": 2_000_002,
    }
    return Span(**(facts | fields))


def link(number: int, trace_id: str = TRACE) -> Link:
    return Link(trace_id=trace_id, span_id=f"{number:016x}", attributes={"dbt.kind": "ref"})


def sent(receiver: Receiver, *given: Span) -> list[trace_pb2.Span]:
    sender = Sender(Target(TRACES, f"{receiver.url}/v1/traces", ENDPOINT, 10.0))
    list(sender.spans({"service.name": "pipeline"}, given))
    sender.close()
    return receiver.spans


def delivered(
    ledger: Ledger, environ: Any, now_us: int = NOW_US, clock: Any = lambda: 0.0
) -> tuple[list[Outcome], list[str]]:
    said: list[str] = []
    return deliver(ledger, environ, now_us, said.append, clock), said


class TestTargets:
    def test_are_none_by_default(self) -> None:
        assert targets({}) == ([], [])
        assert targets({"OTEL_SERVICE_NAME": "x", ENDPOINT: " "}) == ([], [])

    def test_are_both_kinds_below_one_endpoint(self) -> None:
        found, complaints = targets({ENDPOINT: "http://collector:4318/base/"})
        assert [(one.kind, one.endpoint) for one in found] == [
            (TRACES, "http://collector:4318/base/v1/traces"),
            (LOGS, "http://collector:4318/base/v1/logs"),
        ]
        assert not complaints

    def test_take_an_endpoint_of_one_kind_as_it_stands(self) -> None:
        found, _ = targets({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs.invalid/otlp/"})
        assert [(one.kind, one.endpoint) for one in found] == [(LOGS, "https://logs.invalid/otlp/")]

    @pytest.mark.parametrize(
        "more",
        [
            {"OTEL_SDK_DISABLED": "True"},
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
            {"OTEL_TRACES_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "zipkin"},
        ],
    )
    def test_are_none_where_that_is_asked_for(self, more: dict[str, str]) -> None:
        assert targets({ENDPOINT: "http://collector:4318", **more}) == ([], [])

    def test_of_one_kind_can_be_put_off(self) -> None:
        found, _ = targets({ENDPOINT: "http://c", "OTEL_TRACES_EXPORTER": "console, otlp"})
        assert [one.kind for one in found] == [TRACES, LOGS]
        found, _ = targets({ENDPOINT: "http://c", "OTEL_LOGS_EXPORTER": "none"})
        assert [one.kind for one in found] == [TRACES]

    def test_are_complained_about_where_the_protocol_is_another(self) -> None:
        found, complaints = targets(
            {
                ENDPOINT: "http://c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            }
        )
        assert [one.kind for one in found] == [LOGS]
        assert complaints == [
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and traces go out over http/protobuf alone: "
            "set it to http/protobuf, and OTEL_EXPORTER_OTLP_ENDPOINT to the collector's HTTP "
            "port (as a rule 4318)."
        ]

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            ({}, 10),
            ({"_TIMEOUT": "2.5"}, 2.5),
            ({"_TIMEOUT": "10000"}, 30),
            ({"_TIMEOUT": "x"}, 10),
            ({"_TIMEOUT": "0"}, 10),
            ({"_TIMEOUT": "3", "_TRACES_TIMEOUT": "4"}, 4),
        ],
    )
    def test_wait_in_seconds_and_never_long(self, given: dict[str, str], seconds: float) -> None:
        more = {f"OTEL_EXPORTER_OTLP{name}": value for name, value in given.items()}
        assert targets({ENDPOINT: "http://c", **more})[0][0].timeout_s == seconds

    @pytest.mark.parametrize(
        ("endpoint", "shown"),
        [
            ("https://user:secret@host:99/v1/traces?key=secret", "https://host:99/v1/traces"),
            ("https://[::1/secret", "the value of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ],
    )
    def test_show_no_secret(self, endpoint: str, shown: str) -> None:
        assert targets({ONLY_TRACES: endpoint})[0][0].shown == shown


class TestSpans:
    def test_arrive_with_all_that_they_tell(self, receiver: Receiver) -> None:
        given = span(
            kind=Kind.CLIENT,
            status=Status.ERROR,
            status_message="Binder Error",
            attributes={"dbt.rows": 3, "dbt.tags": ["a", "b"], "dbt.share": 0.5, "dbt.full": True},
            events=[Event(name="wait", at_us=1_500_000, attributes={"singer.wait_s": 2.5})],
            links=[link(1), link(2), link(3, OTHER_TRACE)],
        )
        (found,) = sent(receiver, given)
        assert found.trace_id.hex() == TRACE
        assert found.span_id.hex() == "00000000000000aa"
        assert found.parent_span_id.hex() == "00000000000000bb"
        assert found.name == "mart_health"
        assert found.kind == trace_pb2.Span.SPAN_KIND_CLIENT
        assert (found.start_time_unix_nano, found.end_time_unix_nano) == (
            1_000_001_000,
            2_000_002_000,
        )
        assert (found.status.code, found.status.message) == (
            trace_pb2.Status.STATUS_CODE_ERROR,
            "Binder Error",
        )
        assert attributes(found.attributes) == given.attributes
        (event,) = found.events
        assert (event.name, event.time_unix_nano) == ("wait", 1_500_000_000)
        assert attributes(event.attributes) == {"singer.wait_s": 2.5}
        assert [(one.trace_id.hex(), one.span_id.hex()) for one in found.links] == [
            (TRACE, f"{1:016x}"),
            (TRACE, f"{2:016x}"),
            (OTHER_TRACE, f"{3:016x}"),
        ]
        assert attributes(found.links[0].attributes) == {"dbt.kind": "ref"}

    def test_without_parent_begin_a_trace(self, receiver: Receiver) -> None:
        (found,) = sent(receiver, span(parent_id=None))
        assert (found.parent_span_id, found.trace_id.hex()) == (b"", TRACE)

    @pytest.mark.parametrize(
        ("status", "code"),
        [(Status.UNSET, 0), (Status.OK, 1), (Status.ERROR, 2)],
    )
    def test_keep_their_status(self, receiver: Receiver, status: Status, code: int) -> None:
        assert sent(receiver, span(status=status))[0].status.code == code

    def test_tell_which_other_spans_are_of_another_process(self, receiver: Receiver) -> None:
        run, node = sent(
            receiver,
            span(kind=Kind.SERVER, links=[link(1), link(2, OTHER_TRACE)]),
            span(kind=Kind.INTERNAL),
        )
        remote = trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
        assert (bool(run.flags & remote), bool(node.flags & remote)) == (True, False)
        assert [bool(one.flags & remote) for one in run.links] == [False, True]

    def test_keep_a_thousand_links(self, receiver: Receiver) -> None:
        (found,) = sent(receiver, span(links=[link(number) for number in range(1, 1026)]))
        assert (len(found.links), found.dropped_links_count) == (1024, 1)

    def test_count_links_beyond_the_limit_that_is_set(
        self, receiver: Receiver, environ: Any
    ) -> None:
        environ["OTEL_SPAN_LINK_COUNT_LIMIT"] = "2"
        (found,) = sent(receiver, span(links=[link(number) for number in range(1, 6)]))
        assert (len(found.links), found.dropped_links_count) == (2, 3)

    def test_are_the_same_bytes_each_time(self, receiver: Receiver) -> None:
        given = [span(links=[link(1)], attributes={"a": 1}), span(span_id="00000000000000ab")]
        sent(receiver, *given)
        sent(receiver, *given)
        first, second = (request.message for request in receiver.requests)
        assert first.SerializeToString() == second.SerializeToString()

    def test_go_out_in_parts_each_told_when_it_has_arrived(self, receiver: Receiver) -> None:
        given = [span(span_id=f"{number:016x}") for number in range(1, 1026)]
        sender = Sender(Target(TRACES, f"{receiver.url}/v1/traces", ENDPOINT, 10.0))
        told = [
            (len(part), len(receiver.accepted))
            for part in sender.spans({"service.name": "x"}, given)
        ]
        sender.close()
        assert told == [(512, 1), (512, 2), (1, 3)]

    def test_go_out_in_requests_that_collectors_take(self, receiver: Receiver) -> None:
        given = [
            span(span_id=f"{number:016x}", attributes={"text": "x" * size})
            for number, size in enumerate([900_000, 900_000, 900_000, 9_000_000, 1, 1], 1)
        ]
        found = sent(receiver, *given)
        assert [one.span_id.hex() for one in found] == [one.span_id for one in given]
        sizes = [len(request.message.SerializeToString()) for request in receiver.requests]
        assert [round(size, -5) for size in sizes] == [1_800_000, 900_000, 9_000_000, 0]

    def test_keep_a_thousand_events(self, receiver: Receiver, environ: Any) -> None:
        event = Event(name="http.retry", at_us=1_500_000, attributes={})
        (found,) = sent(receiver, span(events=[event] * 1000))
        assert (len(found.events), found.dropped_events_count) == (1000, 0)
        environ["OTEL_SPAN_EVENT_COUNT_LIMIT"] = "2"
        found = sent(receiver, span(events=[event] * 5))[-1]
        assert (len(found.events), found.dropped_events_count) == (2, 3)

    def test_obey_the_variables_of_the_sdk(self, receiver: Receiver, environ: Any) -> None:
        environ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-sentry-auth=sentry sentry_key=abc"
        environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
        sent(receiver, span())
        (request,) = receiver.requests
        assert request.headers["x-sentry-auth"] == "sentry sentry_key=abc"
        assert request.headers["content-encoding"] == "gzip"
        assert receiver.resources == [{"service.name": "pipeline"}]

    def test_that_no_request_can_hold_are_told_from_a_collector_that_is_down(
        self, receiver: Receiver
    ) -> None:
        with pytest.raises(NotSent, match="could make no request") as caught:
            sent(receiver, span(name="\ud800"))
        assert caught.value.about_content
        assert not receiver.requests

    def test_trust_the_certificate_that_is_named_for_them(self, environ: Any) -> None:
        environ["REQUESTS_CA_BUNDLE"] = environ["CURL_CA_BUNDLE"] = "/nowhere"
        environ["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(requests.utils.DEFAULT_CA_BUNDLE_PATH)
        target = Target(TRACES, f"https://127.0.0.1:{free_port()}", ENDPOINT, 1.0)
        with pytest.raises(NotSent, match="cannot be reached"):
            list(Sender(target).spans({}, [span()]))

    @pytest.mark.parametrize(
        ("name", "value"),
        [("OTEL_SPAN_LINK_COUNT_LIMIT", "many"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")],
    )
    def test_say_which_setting_is_not_usable(self, environ: Any, name: str, value: str) -> None:
        environ[name] = value
        target = Target(TRACES, f"https://127.0.0.1:{free_port()}", ENDPOINT, 1.0)
        with pytest.raises(NotSent, match=name) as caught:
            list(Sender(target).spans({}, [span()]))
        assert not caught.value.about_content


class TestDeliver:
    def test_sends_nothing_unless_it_is_asked_to(self, ledger: Ledger, environ: Any) -> None:
        keep(ledger, records.demo_like())
        assert delivered(ledger, environ) == ([], [])
        assert not ledger.rows(Delivery)

    def test_sends_spans_and_lines_of_a_run_once(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, records.demo_like())
        environ[ENDPOINT] = receiver.url
        assert delivered(ledger, environ) == ([Outcome(TRACES, 1, 0), Outcome(LOGS, 1, 0)], [])
        assert delivered(ledger, environ) == ([Outcome(TRACES, 0, 0), Outcome(LOGS, 0, 0)], [])
        told = [one.span_id for one in spans(queries.record(ledger, records.RUN_ID))]
        assert [one.span_id.hex() for one in receiver.spans] == told
        assert [request.path for request in receiver.requests] == ["/v1/traces", "/v1/logs"]
        assert {row.kind: (row.items, row.delivered_us) for row in ledger.rows(Delivery)} == {
            TRACES: (len(told), NOW_US),
            LOGS: (4, NOW_US),
        }

    def test_links_a_mart_to_each_of_its_parents(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, records.demo_like())
        environ[ENDPOINT] = receiver.url
        delivered(ledger, environ)
        own = "model.sentry.mart_health"
        parents = next(n.depends_on for n in records.manifest() if n.unique_id == own)
        ids = {name: span_id(TRACE, "dbt", records.INVOCATION_ID, name) for name in [own, *parents]}
        (mart,) = (one for one in receiver.spans if one.span_id.hex() == ids[own])
        assert {ids[name] for name in parents} <= {one.span_id.hex() for one in mart.links}
        assert len(parents) == 3

    def test_says_where_a_line_was_written(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        record = records.demo_like()
        record.logs.append(records.log(5, 100, "TRACE", "dbt", "after all"))
        keep(ledger, record)
        environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = f"{receiver.url}/v1/logs"
        assert delivered(ledger, environ)[0] == [Outcome(LOGS, 1, 0)]
        first, second = (span_id(TRACE, records.RUN_ID, "step", position) for position in (0, 1))
        run = record.run.span_id
        assert [
            (scope, line.severity_number, line.severity_text, line.span_id.hex())
            for scope, line in receiver.logs
        ] == [
            ("meltano", 9, "info", run),
            ("meltano", 17, "error", second),
            ("meltano", 17, "error", run),
            ("tap-sentry", 13, "warning", first),
            ("dbt", 0, "TRACE", run),
        ]
        _, warning = receiver.logs[3]
        assert warning.body.string_value == "429 Too Many Requests, again in 2.5 s"
        assert warning.time_unix_nano == records.at(12) * 1000
        assert warning.observed_time_unix_nano == records.at(12) * 1000
        assert warning.trace_id.hex() == TRACE
        assert receiver.resources == [resource(record)]

    def test_says_that_the_last_line_of_a_step_is_not_of_the_next(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        record = records.demo_like()
        record.steps[0].ended_us = record.steps[1].started_us = records.at(31)
        record.logs = [records.log(1, 31, "info", "meltano", "Block run completed")]
        keep(ledger, record)
        environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = f"{receiver.url}/v1/logs"
        delivered(ledger, environ)
        ((_, line),) = receiver.logs
        assert line.span_id.hex() == span_id(TRACE, records.RUN_ID, "step", 0)

    def test_sends_long_lines_shortened_and_in_requests_that_collectors_take(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        record = records.demo_like()
        record.logs = [
            records.log(number, 12, "info", "tap-sentry", "x" * 150_000) for number in range(60)
        ]
        keep(ledger, record)
        environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = f"{receiver.url}/v1/logs"
        assert delivered(ledger, environ)[0] == [Outcome(LOGS, 1, 0)]
        assert {len(line.body.string_value) for _, line in receiver.logs} == {100_000}
        assert len(receiver.logs) == 60
        sizes = [len(request.message.SerializeToString()) for request in receiver.requests]
        assert max(sizes) < 2_000_000

    def test_says_of_the_sender_what_the_variables_say(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1))
        environ[ENDPOINT] = receiver.url
        environ["OTEL_RESOURCE_ATTRIBUTES"] = "team=data,service.name=mine"
        environ["OTEL_SERVICE_NAME"] = "ours"
        delivered(ledger, environ)
        assert receiver.resources == [{**resource(small(1)), "team": "data"}] * 2
        assert receiver.resources[0]["service.name"] == "ours"

    def test_goes_from_the_oldest_and_not_beyond_a_week(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(2), small(1), small(3, ended_us=None, result=None))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        late_us = records.at(60) + 1 + export.KEPT_DAYS * DAY_US
        assert delivered(ledger, environ, late_us + 1)[0] == [Outcome(TRACES, 1, 0)]
        assert [one.trace_id.hex()[:8] for one in receiver.spans] == ["00000002"]
        assert delivered(ledger, environ, late_us)[0] == [Outcome(TRACES, 1, 0)]
        assert [one.trace_id.hex()[:8] for one in receiver.spans] == ["00000002", "00000001"]

    def test_sends_a_killed_run_whose_end_nobody_wrote(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1, ended_us=None, result=Result.KILLED))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        assert delivered(ledger, environ)[0] == [Outcome(TRACES, 1, 0)]

    def test_leaves_out_what_live_mode_sent_and_forgets_it(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        record = records.demo_like()
        keep(ledger, record)
        gone = spans(record)[5]
        other = SentSpan(run_id="another", span_id=gone.span_id)
        with ledger.writing():
            ledger.save([SentSpan(run_id=records.RUN_ID, span_id=gone.span_id), other])
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        delivered(ledger, environ)
        found = [one.span_id.hex() for one in receiver.spans]
        assert gone.span_id not in found
        assert len(found) == len(spans(record)) - 1
        assert ledger.rows(SentSpan) == [other]

    def test_leaves_out_runs_that_are_not_in_the_sample(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, records.demo_like(), small(1))
        environ["OTEL_TRACES_SAMPLER"] = "parentbased_traceidratio"
        # The sampler looks at the last 64 bits: 8000... of the small run, 969c... of the other.
        environ["OTEL_TRACES_SAMPLER_ARG"] = "0.55"
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        assert delivered(ledger, environ)[0] == [Outcome(TRACES, 2, 0)]
        assert {one.trace_id.hex()[:8] for one in receiver.spans} == {"00000001"}

    def test_leaves_the_rest_to_the_next_call_when_time_is_up(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1), small(2), small(3))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        clock = iter([0.0, 0.0, export.LONGEST_S - 1, export.LONGEST_S + 1])
        outcome, _ = delivered(ledger, environ, clock=lambda: next(clock))
        assert outcome == [Outcome(TRACES, 2, 1)]
        assert delivered(ledger, environ)[0] == [Outcome(TRACES, 1, 0)]
        assert len(receiver.spans) == 3

    def test_is_done_by_one_process_at_a_time(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1))
        environ[ENDPOINT] = receiver.url
        inner: list[list[Outcome]] = []

        def clock() -> float:
            if not inner:
                inner.append([])
                inner.append(delivered(ledger, environ)[0])
            return 0.0

        assert delivered(ledger, environ, clock=clock)[0][0] == Outcome(TRACES, 1, 0)
        assert inner == [[], []]


class TestTrouble:
    def test_with_a_collector_that_is_down_costs_nothing_but_time_until_it_is_back(
        self, ledger: Ledger, environ: Any
    ) -> None:
        keep(ledger, small(1), small(2))
        port = free_port()
        environ[ENDPOINT] = f"http://127.0.0.1:{port}"
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 0, 2), Outcome(LOGS, 0, 2)]
        assert said == [
            f"WARN  Traces not sent: http://127.0.0.1:{port}/v1/traces cannot be reached. Start "
            "the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT. 2 runs wait and go out at "
            "the next call."
        ]
        with Receiver(port) as receiver:
            outcome, said = delivered(ledger, environ)
        assert (outcome, said) == ([Outcome(TRACES, 2, 0), Outcome(LOGS, 2, 0)], [])
        assert len(receiver.spans) == len({one.trace_id for one in receiver.spans}) == 2
        assert len(receiver.logs) == 4

    def test_ends_at_the_first_run(self, ledger: Ledger, environ: Any, receiver: Receiver) -> None:
        keep(ledger, small(1), small(2), small(3))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "0.2"
        receiver.statuses = [200, 503]
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 1, 2)]
        assert "answered 503: it takes nothing at present. 2 runs wait" in said[0]
        assert [row.run_id[:8] for row in ledger.rows(Delivery)] == ["00000001"]
        assert len(receiver.requests) == 2

    def test_of_a_moment_is_waited_for(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        receiver.statuses, receiver.headers = [503], {"Retry-After": "0"}
        assert delivered(ledger, environ) == ([Outcome(TRACES, 1, 0)], [])
        assert (len(receiver.requests), len(receiver.spans)) == (2, 1)

    def test_with_a_collector_that_hangs_lasts_for_one_request(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1), small(2))
        environ[ENDPOINT] = receiver.url
        environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "0.2"
        receiver.hang()
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 0, 2), Outcome(LOGS, 0, 2)]
        assert len(said) == len(receiver.requests) == 1
        assert "gave no answer within 0.2 s. 2 runs wait" in said[0]

    @pytest.mark.parametrize(
        ("status", "word"),
        [(401, "key is missing"), (404, "path"), (302, "redirect"), (500, "500")],
    )
    def test_with_an_answer_is_told(
        self, ledger: Ledger, environ: Any, receiver: Receiver, status: int, word: str
    ) -> None:
        keep(ledger, small(1), small(2))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        receiver.status = status
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 0, 2)]
        assert len(receiver.requests) == 1
        assert word in said[0]
        assert not ledger.rows(Delivery)

    def test_with_one_run_does_not_hold_up_the_others(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1), small(2), small(3))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        receiver.statuses = [413]
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 2, 1)]
        assert said == [
            f"WARN  Traces of 1 run(s) not sent: {receiver.url}/v1/traces answered 413: the "
            "request is too large for it. Raise its limit. They are tried again for 7 days."
        ]

    def test_with_a_part_of_a_run_sends_the_rest_of_it(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        record = records.demo_like()
        more = [records.node(f"model.sentry.more_{number}", 50, 51) for number in range(600)]
        record.nodes += more
        keep(ledger, record)
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        receiver.statuses = [200, 500]
        assert delivered(ledger, environ)[0] == [Outcome(TRACES, 0, 1)]
        assert delivered(ledger, environ)[0] == [Outcome(TRACES, 1, 0)]
        found = [one.span_id.hex() for one in receiver.spans]
        assert sorted(found) == sorted(one.span_id for one in spans(record))
        assert not ledger.rows(SentSpan)

    def test_of_spans_that_a_collector_rejects_is_told_and_not_repeated(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1), small(2))
        environ[ENDPOINT] = receiver.url
        receiver.rejects = 1
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 2, 0), Outcome(LOGS, 2, 0)]
        assert said == [
            f"WARN  {receiver.url}/v1/traces rejected 2 of the traces that it was sent: too old",
            f"WARN  {receiver.url}/v1/logs rejected 2 of the logs that it was sent: too old",
        ]

    @pytest.mark.parametrize("body", [b"", b"{}", b"<html>thanks</html>"])
    def test_is_none_with_a_collector_that_says_yes_in_other_words(
        self, ledger: Ledger, environ: Any, receiver: Receiver, body: bytes
    ) -> None:
        keep(ledger, small(1))
        environ[ENDPOINT] = receiver.url
        receiver.body = body
        assert delivered(ledger, environ) == ([Outcome(TRACES, 1, 0), Outcome(LOGS, 1, 0)], [])
        assert len(receiver.requests) == 2

    def test_with_a_header_is_told_without_the_header(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1))
        environ[ONLY_TRACES] = f"{receiver.url}/v1/traces"
        environ["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=s3cr3t%0Amore"
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 0, 1)]
        assert "Check OTEL_EXPORTER_OTLP_HEADERS" in said[0]
        assert "s3cr3t" not in said[0]

    def test_says_nothing_that_is_secret(
        self, ledger: Ledger, environ: Any, capfd: pytest.CaptureFixture[str], caplog: Any
    ) -> None:
        keep(ledger, small(1))
        secret = "s3cr3t"
        environ[ONLY_TRACES] = (
            f"http://user:{secret}@127.0.0.1:{free_port()}/v1/traces?key={secret}"
        )
        environ["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization={secret}"
        _, said = delivered(ledger, environ)
        assert len(said) == 1
        assert secret not in said[0]
        assert (capfd.readouterr(), caplog.records) == (("", ""), [])

    @pytest.mark.parametrize(
        ("endpoint", "word"),
        [("collector:4318", "no usable address"), ("http://", "no usable address")],
    )
    def test_with_an_address_is_told(
        self, ledger: Ledger, environ: Any, endpoint: str, word: str
    ) -> None:
        keep(ledger, small(1))
        environ[ONLY_TRACES] = endpoint
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(TRACES, 0, 1)]
        assert word in said[0]

    def test_with_an_address_says_nothing_that_is_secret(
        self, ledger: Ledger, environ: Any
    ) -> None:
        keep(ledger, small(1))
        environ[ONLY_TRACES] = "user:s3cr3t@collector:4318"
        _, said = delivered(ledger, environ)
        assert f"the value of {ONLY_TRACES}" in said[0]
        assert "s3cr3t" not in said[0]

    def test_with_the_protocol_is_told_and_the_other_kind_goes_out(
        self, ledger: Ledger, environ: Any, receiver: Receiver
    ) -> None:
        keep(ledger, small(1))
        environ[ENDPOINT] = receiver.url
        environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "grpc"
        outcome, said = delivered(ledger, environ)
        assert outcome == [Outcome(LOGS, 1, 0)]
        assert len(said) == 1
        assert "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is grpc" in said[0]
