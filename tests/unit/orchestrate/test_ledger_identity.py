"""Ids of traces and spans."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrate.ledger.identity import Parent, parent, span_id, trace_id

RUN = "01a1ffd1-54fd-7a61-9872-3dc4b16907d5"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class TestParent:
    @given(
        trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1), flags=st.integers(0, 255)
    )
    def test_is_what_a_traceparent_names(self, trace: int, span: int, flags: int) -> None:
        expected = Parent(f"{trace:032x}", f"{span:016x}")
        assert parent(f"00-{trace:032x}-{span:016x}-{flags:02x}") == expected

    @pytest.mark.parametrize(
        "malformed",
        [
            None,
            "",
            "x",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}",
            f"00-{TRACE}-{SPAN}-1",
            f"00-{TRACE}-{SPAN}-01-more",
            f"00-{TRACE}-{SPAN}-01\n",
            f" 00-{TRACE}-{SPAN}-01",
            f"00-{TRACE[:-1]}-{SPAN}-01",
        ],
    )
    def test_is_none_of_a_malformed_one(self, malformed: str | None) -> None:
        assert parent(malformed) is None


class TestTraceId:
    @given(st.uuids())
    def test_is_the_128_bits_of_a_uuid_however_written(self, run: UUID) -> None:
        assert {trace_id(form) for form in (str(run), run.hex, str(run).upper())} == {run.hex}

    @given(st.text())
    def test_of_anything_else_is_a_valid_one_too(self, run_id: str) -> None:
        assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", trace_id(run_id))

    def test_of_a_repeated_run_is_its_own(self) -> None:
        assert len({trace_id(RUN), trace_id(f"{RUN}.2"), trace_id(f"{RUN}.3")}) == 3

    def test_is_never_the_invalid_one_of_zeros(self) -> None:
        assert trace_id("0" * 32) != "0" * 32

    def test_stays_the_same_from_release_to_release(self) -> None:
        assert trace_id(f"{RUN}.2") == "38642d14495c6d17369ac0f053d5d11e"


class TestSpanId:
    def test_stays_the_same_from_release_to_release(self) -> None:
        assert span_id(TRACE, RUN) == "99ba390a0785cdb7"
        assert span_id(TRACE, RUN, "step", 0) == "7baea2bb23d1ffc0"

    def test_tells_traces_positions_and_order_apart(self) -> None:
        ids = {
            span_id(TRACE, "a", 1),
            span_id(TRACE, "a", 2),
            span_id(TRACE, 1, "a"),
            span_id(TRACE, "a"),
            span_id(SPAN * 2, "a", 1),
        }
        assert len(ids) == 5

    @given(st.lists(st.text() | st.integers()))
    def test_is_16_hexadecimal_digits(self, names: list[str | int]) -> None:
        assert re.fullmatch(r"[0-9a-f]{16}", span_id(TRACE, *names))
