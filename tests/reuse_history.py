"""A small dbt project in which much happens at random, built again and again by the launcher.

Run with the Python that dbt is installed for: `python -m tests.reuse_history folder seed steps`.
The same things happen to two warehouses: `plain` is built whole each time, with the planner in its
shadow, `reused` is built by the plan. What came of each step goes to standard output as JSON.
"""

# ruff: noqa: S608
from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from orchestrate.transformer.__main__ import main

WAREHOUSES = ("plain", "reused")
PROFILE = """
shop:
  target: warehouse
  outputs:
    warehouse:
      {type: duckdb, path: "{{ env_var('DBT_WAREHOUSE_PATH') }}", schema: main, threads: 2}
"""
FILES = {
    "transform/dbt_project.yml": """
name: shop
profile: shop
vars: {least: 10}
on-run-start: "create table if not exists main.notes (model varchar, total double)"
""",
    "transform/profiles.yml": PROFILE,
    "transform/seeds/countries.csv": "code,continent\nde,Europe\nfr,Europe\njp,Asia\n",
    "transform/macros/size.sql": """
{% macro size(amount) %}case when {{ amount }} > 50 then 'large' else 'small' end{% endmacro %}
""",
    "transform/macros/note.sql": """
{% macro note() %}
    delete from main.notes where model = '{{ this.name }}';
    insert into main.notes select '{{ this.name }}', sum(amount) from {{ this }}
{% endmacro %}
""",
    "transform/snapshots/customer_history.sql": """
{% snapshot customer_history %}
{{ config(unique_key='id', strategy='check', check_cols=['name', 'country'], schema='main') }}
select id, name, country from {{ source('raw', 'customers') }}
{% endsnapshot %}
""",
    "transform/tests/no_negative_total.sql": """
select * from {{ ref('totals') }} where total < 0
""",
    "transform/models/schema.yml": """
sources:
  - name: raw
    schema: raw
    tables:
      - name: orders
        columns: [{name: id, data_tests: [unique, not_null]}]
      - name: customers
models:
  - name: stg_orders
    columns: [{name: id, data_tests: [unique]}]
  - name: paid
    columns: [{name: size, data_tests: [{accepted_values: {arguments: {values: [large, small]}}}]}]
  - name: customers
    columns: [{name: id, data_tests: [unique, not_null]}]
  - name: by_day
    columns: [{name: id, data_tests: [unique]}]
""",
    "transform/models/stg_orders.sql": "select * from {{ source('raw', 'orders') }}",
    "transform/models/stg_customers.sql": """
select id, name, country, loaded_at from {{ source('raw', 'customers') }}
""",
    "transform/models/chosen.sql": """
{{ config(materialized='ephemeral') }}
select id, customer_id, amount from {{ ref('stg_orders') }} where amount >= {{ var('least') }}
""",
    "transform/models/customers.sql": """
{{ config(materialized='table') }}
select id, upper(name) as name, country from {{ ref('stg_customers') }}
""",
    "transform/models/paid.sql": """
{{ config(materialized='table') }}
select chosen.id, chosen.amount, {{ size('chosen.amount') }} as size, customers.country
from {{ ref('chosen') }} as chosen
left join {{ ref('customers') }} as customers on chosen.customer_id = customers.id
""",
    "transform/models/by_day.sql": """
{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert') }}
select id, amount, loaded_at from {{ ref('stg_orders') }}
{% if is_incremental() %}
where loaded_at > (select max(loaded_at) from {{ this }})
{% endif %}
""",
    "transform/models/noted.sql": """
{{ config(materialized='incremental', unique_key='id', post_hook="{{ note() }}") }}
select id, amount from {{ ref('paid') }}
""",
    "transform/models/appended.sql": """
{{ config(materialized='incremental') }}
select count(*) as customers from {{ ref('customers') }}
""",
    "transform/models/totals.sql": """
{{ config(materialized='table') }}
select countries.continent, sum(paid.amount) as total, count(*) as orders
from {{ ref('paid') }} as paid
left join {{ ref('countries') }} as countries on paid.country = countries.code
group by countries.continent
""",
    "transform/models/largest.sql": """
{{ config(materialized='table') }}
select max(total) as total from {{ ref('totals') }} where orders > 0
""",
    "transform/models/everything.sql": """
{{ config(materialized='table') }}
select * from {{ ref('stg_orders') }}
""",
    "transform/models/known.sql": "select continent, orders from {{ ref('totals') }}",
    "transform/models/known_twice.sql": """
{{ config(materialized='table') }}
select continent, orders from {{ ref('known') }} union all select * from {{ ref('known') }}
""",
    "transform/models/clock.sql": """
{{ config(materialized='table') }}
select now() as at, count(*) as n from {{ ref('customers') }}
""",
    "transform/models/by_clock.sql": """
{{ config(materialized='table') }}
select n from {{ ref('clock') }}
""",
    "transform/models/clock_view.sql": "select id, current_date as day from {{ ref('customers') }}",
    "transform/models/by_clock_view.sql": """
{{ config(materialized='table') }}
select count(*) as n from {{ ref('clock_view') }} where day > date '2020-01-01'
""",
    "transform/models/hidden.sql": """
{{ config(materialized='table') }}
select count(*) as n from raw.unknown
""",
    "transform/models/hourly.sql": """
{{ config(materialized='table', freshness={'build_after': {'count': 1000, 'period': 'day'}}) }}
select string_agg(name || country, ',' order by id) as names from {{ ref('stg_customers') }}
""",
}  # fmt: skip
RAW = """
create schema raw;
create table raw.orders (
    id integer, customer_id integer, amount double, note varchar, loaded_at timestamp
);
create table raw.customers (id integer, name varchar, country varchar, loaded_at timestamp);
create table raw.unknown (id integer);
insert into raw.orders
select i, i % 20, (i * 37 % 101) / 7, 'n' || i, timestamp '2026-11-20' + to_hours(i)
from range(200) as r (i);
insert into raw.customers
select i, 'c' || i, ['de', 'fr', 'jp'][i % 3 + 1], timestamp '2026-11-20' from range(20) as r (i);
"""
# What a plain build makes anew each time, or at the instant of the build.
_VARYING = {"clock": "n", "clock_view": "id", "customer_history": "id, name, country"}
_TOLERATED = "hourly"


@dataclass
class History:
    """The project in a folder, its two warehouses, and chance."""

    folder: Path
    chance: random.Random
    hour: int = 1000
    texts: dict[str, str] = field(default_factory=lambda: dict(FILES))

    def __post_init__(self) -> None:
        for name in self.texts:
            self.write(name, self.texts[name])
        self.sql(RAW)

    def file(self, warehouse: str) -> Path:
        return self.folder / "output" / warehouse / "warehouse.duckdb"

    def state(self, warehouse: str) -> Path:
        return self.file(warehouse).parent / "dbt/reuse.json"

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def sql(self, text: str) -> None:
        """The same in both warehouses."""
        for warehouse in WAREHOUSES:
            self.file(warehouse).parent.mkdir(parents=True, exist_ok=True)
            with duckdb.connect(str(self.file(warehouse))) as connection:
                connection.execute(text)

    def build(self, warehouse: str, mode: str) -> tuple[int, str]:
        """The exit code of a build, and what it printed."""
        for name in [name for name in os.environ if name.startswith(("DBT_", "MELTANO_"))]:
            del os.environ[name]
        os.environ |= {
            "MELTANO_PROJECT_ROOT": str(self.folder),
            "MELTANO_ENVIRONMENT": warehouse,
            "DBT_KEEP_INVOCATIONS": "30",
        }
        # It would not be replaced by one with fewer raw rows.
        shutil.rmtree(self.file(warehouse).parent / "published", ignore_errors=True)
        sys.argv = ["dbt-launcher", "build", "--reuse", mode]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            code = main()
        return code, printed.getvalue()

    def decisions(self, warehouse: str) -> list[dict[str, Any]]:
        """Those of the newest build."""
        folders = sorted(
            (self.file(warehouse).parent / "dbt/runs").glob("*/reuse.json"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        found: list[dict[str, Any]] = json.loads(folders[-1].read_bytes())["nodes"]
        return found

    def tables(self, warehouse: str) -> dict[str, list[tuple[Any, ...]]]:
        """All that dbt made, sorted, without what tells of the instant of the build."""
        with duckdb.connect(str(self.file(warehouse)), read_only=True) as connection:
            names = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'main'"
            ).fetchall()
            return {
                name: connection.execute(
                    f"select {_VARYING.get(name, rounded(connection, name))} from main.{name} "
                    "order by all"
                ).fetchall()
                for (name,) in names
                if name != _TOLERATED
            }

    def model(self) -> str:
        """The file of some model that is not there to vary."""
        names = [name for name in self.texts if "/models/" in name and name.endswith(".sql")]
        return self.chance.choice(sorted(names))

    def row(self) -> int:
        return self.chance.randrange(200)


def rounded(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """All columns; floats to nine digits, since the order of summing leaves the last ones open."""
    columns = connection.execute(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = 'main' and table_name = ? order by ordinal_position",
        [table],
    ).fetchall()
    return ", ".join(
        f'round("{name}", 9) as "{name}"' if kind == "DOUBLE" else f'"{name}"'
        for name, kind in columns
    )


def insert(it: History) -> None:
    it.hour += 1
    it.sql(
        f"insert into raw.orders by name select {it.hour} as id, {it.row() % 20} as customer_id, "
        f"{it.row()} / 3 as amount, 'new' as note, "
        f"timestamp '2026-11-20' + to_hours({it.hour}) as loaded_at"
    )


def update(it: History) -> None:
    it.sql(f"update raw.orders set amount = amount + 1 where id = {it.row()}")


def delete(it: History) -> None:
    it.sql(f"delete from raw.orders where id = {it.row()}")


def swap_columns(it: History) -> None:
    it.sql(f"update raw.customers set name = country, country = name where id = {it.row() % 20}")


def swap_rows(it: History) -> None:
    one, other = it.chance.sample(range(20), 2)
    it.sql(
        f"update raw.customers set country = (select country from raw.customers as other where "
        f"other.id = {one + other} - customers.id) where id in ({one}, {other})"
    )


def replace(it: History) -> None:
    it.sql(f"update raw.customers set id = id + 100 where id = {it.row() % 20}")


def restamp(it: History) -> None:
    it.sql("update raw.customers set loaded_at = loaded_at + interval 1 hour")


def empty_text(it: History) -> None:
    it.sql(
        "update raw.orders set note = case when note = '' then null else '' end "
        f"where id = {it.row()}"
    )


def add_column(it: History) -> None:
    it.sql(f"alter table raw.orders add column if not exists c{it.hour} integer")


def grow_unknown(it: History) -> None:
    it.sql("insert into raw.unknown values (1)")


def comment(it: History) -> None:
    name = it.model()
    it.write(name, f"{it.texts[name].rstrip()}\n-- {it.row()}\n")


def space(it: History) -> None:
    name = it.model()
    it.write(name, it.texts[name].replace("select ", "SELECT\n  ", 1))


def edit(it: History) -> None:
    name = "transform/models/largest.sql"
    it.write(name, it.texts[name].rstrip() + f" and total > -{it.row()}.5\n")


def edit_below(it: History) -> None:
    name = "transform/models/customers.sql"
    other = "lower(name)" if "upper(name)" in it.texts[name] else "upper(name)"
    before = "upper(name)" if other == "lower(name)" else "lower(name)"
    it.write(name, it.texts[name].replace(before, other))


def config(it: History) -> None:
    name = "transform/models/known.sql"
    text = FILES[name]
    is_table = "materialized" in it.texts[name]
    it.write(name, text if is_table else "{{ config(materialized='table') }}\n" + text)


def tag(it: History) -> None:
    name = "transform/models/totals.sql"
    it.write(name, FILES[name].replace("'table'", f"'table', tags=['t{it.row()}']"))


def macro(it: History) -> None:
    name = "transform/macros/size.sql"
    it.write(name, FILES[name].replace("> 50", f"> {it.row()}"))


def hook(it: History) -> None:
    name = "transform/macros/note.sql"
    it.write(name, FILES[name].replace("sum(amount)", f"sum(amount) + {it.row()}"))


def variable(it: History) -> None:
    name = "transform/dbt_project.yml"
    it.write(name, FILES[name].replace("least: 10", f"least: {it.row() % 15}"))


def seed(it: History) -> None:
    name = "transform/seeds/countries.csv"
    it.write(name, f"{FILES[name]}x{it.row()},Nowhere\n")


def drop(it: History) -> None:
    name = it.chance.choice(["customers", "paid", "totals", "everything", "by_day", "known_twice"])
    it.sql(f"drop table if exists main.{name}")


def drop_view(it: History) -> None:
    it.sql("drop view if exists main.stg_customers")


def tamper(it: History) -> None:
    name = it.chance.choice(["paid", "by_day", "noted"])
    it.sql(f"update main.{name} set amount = 7 where id = (select min(id) from main.{name})")


def tamper_view(it: History) -> None:
    it.sql("create or replace view main.stg_customers as select * from raw.customers limit 3")


def nothing(_: History) -> None:
    pass


ACTIONS: tuple[Callable[[History], None], ...] = (
    insert, update, delete, swap_columns, swap_rows, replace, restamp, empty_text, add_column,
    grow_unknown, comment, space, edit, edit_below, config, tag, macro, hook, variable, seed, drop,
    drop_view, tamper, tamper_view, nothing,
)  # fmt: skip


def run(folder: Path, number: int, steps: int) -> None:
    """Tell each step as a line of JSON."""
    history = History(folder, random.Random(number))
    rounds: list[Callable[[History], None]] = []
    for step in range(steps):
        if not rounds:
            rounds = history.chance.sample(ACTIONS, len(ACTIONS))
        several = 0 if step == 0 else history.chance.choice([1, 1, 2])
        chosen = [rounds.pop() for _ in range(min(several, len(rounds)))]
        for action in chosen:
            action(history)
        is_killed = step > 0 and history.chance.random() < 0.25
        told: dict[str, Any] = {"step": step, "did": [action.__name__ for action in chosen]}
        told["killed"] = is_killed
        for warehouse, mode in zip(WAREHOUSES, ("shadow", "on"), strict=True):
            state = history.state(warehouse)
            kept = state.with_suffix(".kept")
            if is_killed:
                shutil.copy2(state, kept)
            code, printed = history.build(warehouse, mode)
            told[warehouse] = {
                "code": code,
                "printed": printed if code else "",
                "nodes": history.decisions(warehouse),
            }
            if is_killed:  # as if it had died when all was built and nothing noted
                kept.replace(state)
        plain, reused = history.tables("plain"), history.tables("reused")
        told["differing"] = sorted(
            name for name in plain.keys() | reused.keys() if plain.get(name) != reused.get(name)
        )
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
