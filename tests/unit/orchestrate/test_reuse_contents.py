"""Fingerprints of a warehouse, and what DuckDB says that a statement reads."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from orchestrate.reuse.analysis import (
    Functions,
    Unproven,
    own_function,
    plain_plans,
    reads,
    varying,
    varying_text,
)
from orchestrate.reuse.contents import Contents, Relation, Wanted

PEOPLE = Relation("memory", "main", "people")


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create table people (id integer, name varchar, other varchar)")
        connection.execute("insert into people values (1, 'a', 'b'), (2, 'c', ''), (3, 'e', 'f')")
        yield connection


def content(warehouse: duckdb.DuckDBPyConnection, *columns: str) -> str | None:
    return Contents(warehouse).of(Wanted(PEOPLE, columns or None))


class TestFingerprint:
    @pytest.mark.parametrize(
        "change",
        [
            "update people set name = 'x' where id = 2",
            "update people set name = other, other = name where id = 1",
            "update people set name = case id when 1 then 'c' else 'a' end where id < 3",
            "delete from people where id = 3; insert into people from people where id = 2",
            "update people set other = null where id = 2",
            "alter table people rename name to named",
            "alter table people alter id type bigint",
            "insert into people from people",
            "delete from people",
            "alter table people add column more integer",
        ],
    )
    def test_differs_after_any_change(
        self, warehouse: duckdb.DuckDBPyConnection, change: str
    ) -> None:
        before = content(warehouse)
        warehouse.execute(change)
        assert content(warehouse) != before

    def test_is_the_same_for_the_same_rows_in_another_order(
        self, warehouse: duckdb.DuckDBPyConnection
    ) -> None:
        before = content(warehouse)
        warehouse.execute("create or replace table people as from people order by id desc")
        assert content(warehouse) == before

    def test_of_some_columns_sees_no_others_but_the_number_of_rows(
        self, warehouse: duckdb.DuckDBPyConnection
    ) -> None:
        before, rows = content(warehouse, "id"), Contents(warehouse).of(Wanted(PEOPLE, ()))
        warehouse.execute("update people set other = 'x'")
        assert content(warehouse, "id") == before
        assert Contents(warehouse).of(Wanted(PEOPLE, ())) == rows
        warehouse.execute("insert into people values (4, 'x', 'x')")
        assert Contents(warehouse).of(Wanted(PEOPLE, ())) != rows

    @pytest.mark.parametrize(
        ("kind", "one", "other"),
        [
            ("double", "0.0", "-0.0"),
            ("double[]", "[0.0]", "[-(0.0::double)]"),
            ("interval", "interval '1 month'", "interval '30 days'"),
            ("integer[]", "[]", "[null]"),
            ("integer[]", "[]", "null"),
            ("integer[][]", "[[1], [2]]", "[[1, 2]]"),
            ("struct(a integer)", "{'a': null}", "null"),
            ("union(a integer, b integer)", "union_value(a := 1)", "union_value(b := 1)"),
        ],
    )
    def test_tells_apart_what_is_called_equal(self, kind: str, one: str, other: str) -> None:
        with duckdb.connect() as warehouse:
            found = set()
            for value in (one, other):
                warehouse.execute(f"create or replace table people as select {value}::{kind} as a")
                found.add(content(warehouse))
        assert len(found) == 2

    def test_rounded_overlooks_the_last_digits_of_doubles(self) -> None:
        with duckdb.connect() as warehouse:
            found = []
            for value in ("0.1 + 0.2", "0.3", "0.31"):  # the first is 0.30000000000000004
                warehouse.execute(
                    f"create or replace table people as select ({value})::double as a"
                )
                if value == "0.1 + 0.2":
                    warehouse.execute("update people set a = 0.1::double + 0.2::double")
                found.append(Contents(warehouse).of(Wanted(PEOPLE, rounded=True)))
        assert found[0] == found[1] != found[2]

    def test_of_what_is_not_there_is_none(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        assert Contents(warehouse).of(Wanted(Relation("memory", "main", "nobody"))) is None

    def test_of_a_view_follows_its_sql_not_its_rows(
        self, warehouse: duckdb.DuckDBPyConnection
    ) -> None:
        view = Wanted(Relation("memory", "main", "v"))
        found = []
        for text in ("id, name from people", "ID, name /**/ from people", "id from people"):
            warehouse.execute(f"create or replace view v as select {text}")
            found.append(Contents(warehouse).of(view))
        warehouse.execute("create or replace view v as select id from people")
        warehouse.execute("delete from people")
        assert found[0] != found[2]
        assert Contents(warehouse).of(view) == found[2]

    def test_of_a_view_is_the_same_when_the_file_is_opened_again(self, tmp_path: str) -> None:
        path = f"{tmp_path}/w.duckdb"
        view = Wanted(Relation("w", "main", "v"))
        with duckdb.connect(path) as connection:
            connection.execute(
                "create view v as select list_filter([1], lambda x: x > 0) as a, "
                "cast('1' as double) as b, round(1.5, 0)::decimal(9, 3) as c"
            )
            before = Contents(connection).of(view)
        with duckdb.connect(path) as connection:
            assert Contents(connection).of(view) == before

    def test_is_asked_again_only_of_what_was_built(
        self, warehouse: duckdb.DuckDBPyConnection
    ) -> None:
        contents = Contents(warehouse)
        before = contents.of(Wanted(PEOPLE))
        warehouse.execute("delete from people")
        contents.refresh([])
        assert contents.of(Wanted(PEOPLE)) == before
        contents.refresh([PEOPLE])
        assert contents.of(Wanted(PEOPLE)) != before


class TestReads:
    def read(
        self, warehouse: duckdb.DuckDBPyConnection, sql: str
    ) -> dict[Relation, tuple[str, ...] | None]:
        with plain_plans(warehouse):
            return reads(warehouse, sql, Contents(warehouse))

    @pytest.mark.parametrize(
        ("sql", "columns"),
        [
            ("select id from people", ("id",)),
            ("select count(*) from people", ()),
            ("with p as (from people) select id from p where other > 'a'", ("id", "other")),
            # Every id is more than 0 now, and need not be later.
            ("select case when id > 0 then 1 else 2 end as a from people", ("id",)),
            ("select * from v", ("id", "name")),
        ],
    )
    def test_are_the_columns_that_matter_through_views_and_ctes(
        self, warehouse: duckdb.DuckDBPyConnection, sql: str, columns: tuple[str, ...]
    ) -> None:
        warehouse.execute("create view v as select id, name from (select * from people)")
        assert self.read(warehouse, sql) == {PEOPLE: columns}

    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            ("select * from duckdb_tables()", "duckdb_tables"),
            ("select * from glob('*')", "glob"),
            ("select * from nobody", "can't plan"),
        ],
    )
    def test_of_what_is_no_table_are_unproven(
        self, warehouse: duckdb.DuckDBPyConnection, sql: str, reason: str
    ) -> None:
        with pytest.raises(Unproven, match=reason):
            self.read(warehouse, sql)

    def test_leave_the_optimizer_as_it_was(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        setting = "select current_setting('disabled_optimizers')"
        warehouse.execute("set disabled_optimizers = 'top_n'")
        self.read(warehouse, "select 1")
        assert warehouse.execute(setting).fetchall() == [("top_n",)]


class TestVarying:
    @pytest.mark.parametrize(
        ("sql", "word"),
        [
            ("select now()", "now()"),
            ("select Random()", "random()"),
            ("select nextval('s')", "nextval()"),
            ("select current_date", "current_date"),
            ("select ago(interval '1 day')", "ago()"),  # a macro of DuckDB's made of a clock
            ("from people using sample 3", "using sample"),
            ("select current_setting('threads')", "current_setting()"),
            ("select 'open", "SQL that can't be read"),
        ],
    )
    def test_is_said_of_what_gives_other_rows_at_another_time(
        self, warehouse: duckdb.DuckDBPyConnection, sql: str, word: str
    ) -> None:
        assert varying(sql, Functions.of(warehouse)) == word

    @pytest.mark.parametrize(
        "sql",
        ["select 'now()'", "select id as now from t -- now()", 'select "current_date" from t'],
    )
    def test_is_not_said_of_texts_and_names(
        self, warehouse: duckdb.DuckDBPyConnection, sql: str
    ) -> None:
        assert varying(sql, Functions.of(warehouse)) is None

    def test_functions_of_the_database_itself_are_found(
        self, warehouse: duckdb.DuckDBPyConnection
    ) -> None:
        warehouse.execute("create macro twice(x) as 2 * x")
        functions = Functions.of(warehouse)
        assert own_function("select Twice(1)", functions) == "twice"
        assert own_function("select lower('a')", functions) is None

    def test_of_jinja_any_clock_counts(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        functions = Functions.of(warehouse)
        assert varying_text("where at < now ()", functions) == "now()"
        assert varying_text("{{ day }} < current_date", functions) == "current_date"
        assert varying_text("{{ user }} known now", functions) is None
