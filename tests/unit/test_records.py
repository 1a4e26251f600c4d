from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.errors import UnexpectedAnswer
from tap_sentry.records import RecordFormat
from tap_sentry.schemas.types import (
    ARRAY,
    BOOLEAN,
    DATETIME,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    record,
)

COLUMNS = {
    "text": STRING,
    "whole": INTEGER,
    "number": NUMBER,
    "flag": BOOLEAN,
    "at": DATETIME,
    "object": OBJECT,
    "list": ARRAY,
}
SCHEMA = record({"id": STRING, **COLUMNS}, keys=("id",))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def column(name: str, value: Any) -> tuple[Any, int]:
    """What becomes of one value, and how many misfits are counted."""
    record_format = RecordFormat(SCHEMA)
    found = record_format({"id": "1", name: value})
    assert set(record_format.misfits) <= {name}
    return found[name], record_format.misfits[name]


class TestRecord:
    def test_has_null_for_what_is_missing(self) -> None:
        record_format = RecordFormat(SCHEMA)
        assert record_format({"id": "1"}) == {"id": "1", **dict.fromkeys(COLUMNS)}
        assert not record_format.misfits

    def test_has_no_column_that_the_schema_lacks(self) -> None:
        assert "new" not in RecordFormat(SCHEMA)({"id": "1", "new": 2})

    @pytest.mark.parametrize("row", [{}, {"id": None}, {"text": "a"}])
    def test_without_its_key_stops_the_run(self, row: dict[str, Any]) -> None:
        with pytest.raises(UnexpectedAnswer, match="'id'"):
            RecordFormat(SCHEMA)(row)

    def test_whose_key_does_not_fit_stops_the_run(self) -> None:
        schema = record({"id": INTEGER, "text": STRING}, keys=("id",))
        with pytest.raises(UnexpectedAnswer, match="'id'"):
            RecordFormat(schema)({"id": "no number"})

    def test_names_each_of_several_keys(self) -> None:
        schema = record({"a": STRING, "b": STRING}, keys=("a", "b"))
        with pytest.raises(UnexpectedAnswer, match="'b'"):
            RecordFormat(schema)({"a": "1"})

    def test_leaves_the_row_as_it_was(self) -> None:
        row = {"id": 1, "at": "2026-10-01", "extra": [1]}
        RecordFormat(SCHEMA)(row)
        assert row == {"id": 1, "at": "2026-10-01", "extra": [1]}

    @given(st.dictionaries(st.sampled_from([*COLUMNS, "other"]), json_values))
    def test_always_has_exactly_the_columns_of_the_schema_in_their_types(
        self, row: dict[str, Any]
    ) -> None:
        record_format = RecordFormat(SCHEMA)
        found = record_format({**row, "id": "1"})
        assert list(found) == ["id", *COLUMNS]
        types = (str, int, float, bool, str, dict, list)
        for (name, value), kind in zip(list(found.items())[1:], types, strict=True):
            assert value is None or type(value) is kind
            gone = value is None and row.get(name) is not None
            assert record_format.misfits[name] == int(gone)


class TestMisfits:
    def test_are_null_and_counted_by_column(self) -> None:
        record_format = RecordFormat(SCHEMA)
        for _ in range(3):
            assert record_format({"id": "1", "whole": "many"})["whole"] is None
        record_format({"id": "1", "flag": "yes"})
        assert record_format.misfits == {"whole": 3, "flag": 1}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("whole", 1.5),
            ("whole", "1.5"),
            ("whole", []),
            ("whole", math.inf),
            ("whole", math.nan),
            ("whole", 2**63),
            ("whole", -(2**63) - 1),
            ("whole", str(2**64)),
            ("whole", 1e30),
            ("whole", "9" * 5000),
            ("number", "high"),
            ("number", math.inf),
            ("number", -math.inf),
            ("number", math.nan),
            ("number", "nan"),
            ("number", "1e999"),
            ("number", 10**400),
            ("number", {}),
            ("flag", 1),
            ("flag", "true"),
            ("at", "soon"),
            ("at", ""),
            ("at", 1_790_000_000),
            ("at", 1_790_000_000.5),
            ("at", True),
            ("at", {"date": "2026-10-01"}),
            ("at", ["2026-10-01T00:00:00Z"]),
            ("at", "0001-01-01T00:00:00+14:00"),
            ("object", []),
            ("object", "{}"),
            ("list", {}),
            ("list", "[]"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_are_values_that_cannot_be_of_the_type(self, name: str, value: Any) -> None:
        assert column(name, value) == (None, 1)


class TestColumns:
    @pytest.mark.parametrize(
        ("value", "number"),
        [
            (5, 5),
            ("5", 5),
            ("-17", -17),
            (5.0, 5),
            (0, 0),
            (2**63 - 1, 2**63 - 1),
            (str(-(2**63)), -(2**63)),
        ],
    )
    def test_of_integers_take_text_and_whole_fractions(self, value: Any, number: int) -> None:
        found = column("whole", value)
        assert found == (number, 0)
        assert isinstance(found[0], int)

    @pytest.mark.parametrize(("value", "number"), [(5, 5.0), ("0.5", 0.5), (0, 0.0), (-0.5, -0.5)])
    def test_of_numbers_take_text_and_integers(self, value: Any, number: float) -> None:
        found = column("number", value)
        assert found == (number, 0)
        assert isinstance(found[0], float)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("", ""),
            ("å\u2028", "å\u2028"),
            (17, "17"),
            (1.5, "1.5"),
            (True, "true"),
            ([1, "a"], '[1,"a"]'),
            ({"code": None}, '{"code":null}'),
        ],
    )
    def test_of_text_take_anything_else_as_json(self, value: Any, text: str) -> None:
        assert column("text", value) == (text, 0)

    @pytest.mark.parametrize("value", [True, False])
    def test_of_flags_keep_both(self, *, value: bool) -> None:
        assert column("flag", value) == (value, 0)

    @pytest.mark.parametrize("value", [{}, {"a": [{"b": None}], "c": {"d": 1.5}}])
    def test_of_objects_keep_what_is_nested(self, value: dict[str, Any]) -> None:
        assert column("object", value) == (value, 0)

    @pytest.mark.parametrize("value", [[], [1, "a", None, {"b": []}]])
    def test_of_lists_keep_what_is_nested(self, value: list[Any]) -> None:
        assert column("list", value) == (value, 0)

    def test_of_dates_are_all_written_alike(self) -> None:
        assert column("at", "2026-10-01T02:00:00+02:00") == ("2026-10-01T00:00:00.000000Z", 0)
