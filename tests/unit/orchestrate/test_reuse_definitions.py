"""When two definitions of a node mean the same, and when they don't."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrate.reuse.definitions import Macros, config_of, digest, normalised

KEYWORDS = frozenset({"select", "from", "where", "group", "by", "as"})


class TestNormalised:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("select a from t", "SELECT a\n  FROM t"),
            ("select a from t", "select a -- of t\nfrom t /* all */"),
            ("select a from t group by a", "select a from t GROUP  BY a"),
            ("select a+b from t", "select a + b from t"),
        ],
    )
    def test_leaves_out_comments_space_and_case_of_keywords(self, one: str, other: str) -> None:
        assert normalised(one, KEYWORDS) == normalised(other, KEYWORDS)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("select a from t", "select A from t"),  # the column is called otherwise
            ("select 'a  b'", "select 'a b'"),
            ("select 'a'", 'select "a"'),
            ("select '-- no comment'", "select ''"),
            ("select 1", "select 10"),
            ("select a b from t", "select ab from t"),
            ("select 'select'", "select 'SELECT'"),
            ("select a from t where b", "select a from t"),
            ("select - -1", "select -- -1"),
        ],
    )
    def test_keeps_all_that_means_something(self, one: str, other: str) -> None:
        assert normalised(one, KEYWORDS) != normalised(other, KEYWORDS)

    def test_is_the_text_itself_where_it_cannot_be_read(self) -> None:
        assert normalised("select 'open", KEYWORDS) == "select 'open"


class TestConfig:
    def node(self, **config: Any) -> dict[str, Any]:
        columns = {"a": {"data_type": "integer", "description": "one"}}
        return {"config": config, "columns": columns, "description": "all"}

    def test_leaves_out_how_a_node_is_spoken_of(self) -> None:
        spoken = self.node(materialized="table", tags=["a"], group="g", access="public", docs={})
        assert config_of(spoken) == {"materialized": "table"}

    def test_holds_columns_where_they_are_checked(self) -> None:
        assert "columns" not in config_of(self.node(contract={"enforced": False}))
        checked = config_of(self.node(contract={"enforced": True}))
        assert checked["columns"] == {"a": ["integer", None, None]}

    def test_holds_descriptions_where_they_are_written_into_the_warehouse(self) -> None:
        written = config_of(self.node(persist_docs={"relation": True}))
        assert (written["description"], written["columns"]["a"]["description"]) == ("all", "one")


def macro(name: str, sql: str, package: str = "shop") -> dict[str, str]:
    return {"name": name, "package_name": package, "macro_sql": sql}


class TestMacros:
    def test_of_a_text_are_those_it_may_call_however_far(self) -> None:
        macros = Macros(
            {
                "m.shop.a": macro("a", "{{ b() }}"),
                "m.shop.b": macro("b", "{{ adapter.dispatch('c')() }}"),
                "m.shop.duckdb__c": macro("duckdb__c", "c"),
                "m.shop.d": macro("d", "d"),
            }
        )
        assert macros.of_text("{{ a(1) }}") == ["{{ b() }}", "{{ adapter.dispatch('c')() }}", "c"]

    def test_of_a_materialization_are_the_projects_own_and_those_in_place_of_dbts(self) -> None:
        macros = Macros(
            {
                "m.dbt.t": macro("materialization_table_default", "{{ create_it() }}", "dbt"),
                "m.dbt.c": macro("create_it", "create", "dbt"),
                "m.dbt.g": macro("default__get_strategy", "get", "dbt"),
                "m.shop.g": macro("duckdb__get_strategy", "ours"),
                "m.shop.v": macro("materialization_view_duckdb", "view"),
                "m.shop.x": macro("x", "x"),
            }
        )
        assert macros.of_materialization("table") == ["ours"]
        assert macros.of_materialization("view") == ["ours", "view"]


def test_digests_are_equal_for_equal_values_alone() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
