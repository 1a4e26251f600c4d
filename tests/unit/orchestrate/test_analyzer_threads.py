"""The wall clock divided among what runs at the same time, worked out by hand."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from orchestrate.analyzer.threads import divide


def spans(*rows: tuple[int, float, float, int]) -> pd.DataFrame:
    """Rows of group, begin and end in seconds, rank."""
    frame = pd.DataFrame(rows, columns=["group", "start_us", "end_us", "rank"])
    return frame.assign(
        **{
            name: (frame[name] * 1_000_000).round().astype("int64")
            for name in ("start_us", "end_us")
        }
    )


def divided(*rows: tuple[int, float, float, int]) -> list[float]:
    return [float(seconds) for seconds in divide(spans(*rows))]


class TestDivide:
    def test_gives_one_alone_all_its_time(self) -> None:
        assert divided((0, 2.0, 5.5, 0)) == pytest.approx([3.5])

    def test_parts_an_instant_equally(self) -> None:
        # 0-1 the first alone: 1; 1-3 both: 1 each; 3-4 the second alone: 1.
        assert divided((0, 0, 3, 0), (0, 1, 4, 0)) == pytest.approx([2.0, 2.0])

    def test_parts_by_how_many_run(self) -> None:
        # 0-6 three: 2 each; 6-8 two: 1 each; 8-9 one.
        assert divided((0, 0, 6, 0), (0, 0, 8, 0), (0, 0, 9, 0)) == pytest.approx([2.0, 3.0, 4.0])

    def test_leaves_an_outer_span_what_no_inner_one_takes(self) -> None:
        # The run lasts 0-10, dbt 2-8, a node 3-5: 2 s for the node, 4 for dbt, 4 for the run.
        assert divided((0, 0, 10, 2), (0, 2, 8, 1), (0, 3, 5, 0)) == pytest.approx([4.0, 4.0, 2.0])

    def test_keeps_groups_apart(self) -> None:
        assert divided((0, 0, 4, 0), (1, 0, 4, 0), (1, 2, 6, 0)) == pytest.approx([4.0, 3.0, 3.0])

    def test_gives_nothing_to_what_has_no_length(self) -> None:
        assert divided((0, 1, 1, 0), (0, 0, 2, 0)) == pytest.approx([0.0, 2.0])

    def test_ends_one_before_the_next_begins(self) -> None:
        assert divided((0, 0, 1, 0), (0, 1, 2, 0)) == pytest.approx([1.0, 1.0])

    def test_takes_no_spans_at_all(self) -> None:
        assert divide(spans()).empty

    def test_keeps_the_index(self) -> None:
        frame = spans((0, 0, 1, 0), (0, 0, 1, 0)).set_axis([7, 3])
        assert list(divide(frame).index) == [7, 3]

    @pytest.mark.parametrize("seed", range(5))
    def test_adds_up_to_the_outer_span_whatever_is_in_it(self, seed: int) -> None:
        made = random.Random(seed)
        rows = [(group, 0.0, 100.0, 9) for group in range(20)]
        for _ in range(500):
            begin = made.uniform(0, 99)
            rows.append((made.randrange(20), begin, made.uniform(begin, 100), made.randrange(4)))
        frame = spans(*rows)
        sums = divide(frame).groupby(frame["group"]).sum()
        assert sums.tolist() == pytest.approx([100.0] * 20)
        assert (divide(frame) >= 0).all()
