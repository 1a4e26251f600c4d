"""Models use words that DuckDB and PostgreSQL share; where they differ, a macro chooses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TRANSFORM = Path(__file__).parents[2] / "transform"
FOLDERS = ("models", "tests", "snapshots", "analyses")

_MACRO = "a macro that dispatches, in macros/warehouse.sql"

# What only DuckDB understands, or another thing than PostgreSQL, and what to write instead.
REPLACEMENTS = {
    r"\bqualify\b": "row_number() in a subquery, and where around it",
    r"::": "cast(x as type)",
    r"//": "floor(a / b)",
    r"==": "=",
    r"->": "json_text()",
    r"(?<![\w)])\[|\{|:=|\blambda\b": _MACRO,
    r"\b(list|map|struct|json|str|string_split)(_\w+)?\s*\(": _MACRO,
    r"\b(from_json|regexp_(extract|matches)\w*)\s*\(": _MACRO,
    r"\b(unnest|range|generate_series)\s*\(": "json_entries() or days()",
    r"\b(arg_?max|arg_?min|max_by|min_by|any_value|first|last)\s*\(": "row_number() in a subquery",
    r"\b(epoch\w*|date_?diff|datesub|dateadd)\s*\(": "extract(epoch from (a - b)), or date - date",
    r"\b(strftime|strptime|make_timestamp)\s*\(": "timestamp_of(), date_trunc() or a cast",
    r"\b(year|month|week|day|hour|minute|second|\w*dayof\w+|isodow)\s*\(": "extract(day from x)",
    r"\bto_(days|hours|minutes|seconds)\s*\(": "x * interval '1 second'",
    r"\binterval\s+[^'\s]": "interval '60 days'",
    r"\btry_cast\s*\(": "cast_or_null()",
    r"\b(median|quantile\w*|approx_\w+)\s*\(": "percentile_cont(x) within group (order by y)",
    r"\b(count_?if|sum_?if)\s*\(": "count(*) filter (where x)",
    r"\b(if|ifnull|nvl|isnan|isinf)\s*\(": "case or coalesce()",
    r"\b(contains|prefix|suffix|len|hash)\s*\(": "like, length() or md5()",
    r"\b(group|order)\s+by\s+all\b": "the columns' names",
    r"\*\s*(exclude|replace|rename)\b": "the columns' names",
    r"\bcolumns\s*\(": "the columns' names",
    r"\bby\s+name\b": "columns in one order",
    r"\b(asof|positional|semi|anti)\s+join\b": "join, exists or not exists",
    r"\b(un)?pivot\b": "sum(x) filter (where y)",
    r"\bignore\s+nulls\b": "a window over what is not null",
    r"\bas\s+double\b(?!\s+precision)": "double precision",
    r"\b(u?hugeint|u(big|small|tiny)?int(eger)?|tinyint)\b": "bigint",
    # PostgreSQL rounds decimals alone to digits.
    r"\bround\s*\((?:[^(),]|\((?:[^()]|\([^()]*\))*\))*,": "rounded()",
}
_PATTERNS = [(re.compile(pattern), instead) for pattern, instead in REPLACEMENTS.items()]

_COMMENT = r"\{#.*?#\}|--[^\n]*|/\*.*?\*/"
_PART = re.compile(
    rf"(?P<comment>{_COMMENT})|(?P<jinja>\{{\{{.*?\}}\}}|\{{%.*?%\}})|(?P<text>'(?:[^']|'')*')",
    re.DOTALL,
)
_ARGUMENT = re.compile(r'"[^"]*"')
_NOT_IN_CONTRACTS = re.compile(
    r"data_type:(?! *(?:varchar|bigint|integer|double precision|boolean|date|timestamp)\b)"
)


def complaints(text: str, name: str) -> list[str]:
    """Each place that is not portable: file, line, what stands there, what to write instead."""
    sql = _PART.sub(_sql, text).lower()
    places = [
        (sql.count("\n", 0, found.start()) + 1, found.group(), instead)
        for pattern, instead in _PATTERNS
        for found in pattern.finditer(sql)
    ]
    return [f"{name}:{line}: {found!r}: write {instead}" for line, found, instead in sorted(places)]


def _sql(part: re.Match[str]) -> str:
    """What of a part of the file is SQL, in its place: the arguments of a macro."""
    if part.lastgroup == "text":
        return "'" + _blank(part.group()[2:]) + "'"
    if part.lastgroup == "comment":
        return _blank(part.group())
    jinja, sql, end = part.group(), "", 0
    for argument in _ARGUMENT.finditer(jinja):
        inner = _PART.sub(_sql, argument.group()[1:-1])
        sql += f"{_blank(jinja[end : argument.start()])} {inner} "
        end = argument.end()
    return sql + _blank(jinja[end:])


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def files(ending: str) -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (TRANSFORM / folder).rglob(f"*.{ending}"))


class TestModels:
    def test_say_nothing_that_only_duckdb_understands(self) -> None:
        told = [
            line
            for path in files("sql")
            for line in complaints(
                path.read_text(encoding="utf-8"), str(path.relative_to(TRANSFORM))
            )
        ]
        assert told == [], "\n".join(told)

    def test_have_contracts_in_types_of_both(self) -> None:
        paths = [path for path in files("yml") if path.name != "_sentry__sources.yml"]
        told = [
            f"{path.relative_to(TRANSFORM)}:{number}: {line.strip()}"
            for path in paths
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
            if _NOT_IN_CONTRACTS.search(line)
        ]
        assert told == [], "\n".join(told)


class TestComplaints:
    @pytest.mark.parametrize(
        "line",
        [
            "select a::date from b",
            "select a // 2 from b",
            "from b qualify row_number() over (order by a) = 1",
            "select list_sum(a) from b",
            "select unnest([1, 2]) as a",
            "select arg_max(a, b) from c",
            "select max_by(a, b) from c",
            "select epoch(a) from b",
            "select date_diff('day', a, b) from c",
            "select strftime(a, '%Y') from b",
            "select try_cast(a as integer) from b",
            "select a from b group by all",
            "select * exclude (a) from b",
            "select a - interval 60 day from b",
            "select map([1], [2]) as a",
            "select {'a': 1} as a",
            "select struct_pack(a := 1) as b",
            "select list_filter(a, lambda x: x > 1) from b",
            "select quantile_cont(a, 0.5) from b",
            "select median(a) from b",
            "select cast(a as double) from b",
            "select round(sum(a), 2) from b",
            "select a from b union all by name select a from c",
            "select {{ ratio('a', \"epoch(b)\") }} from c",
            '{% set a = "sum(b)::int" %}select {{ a }} from c',
        ],
    )
    def test_name_what_only_duckdb_understands(self, line: str) -> None:
        assert complaints(f"-- A question?\n{line}\n", "models/bad.sql")

    def test_say_where_and_what_instead(self) -> None:
        text = "-- A question?\nselect\n    {{ ratio(\n'a', 'b') }},\n    a::date\nfrom b\n"
        assert complaints(text, "models/bad.sql") == [
            "models/bad.sql:5: '::': write cast(x as type)"
        ]

    @pytest.mark.parametrize(
        "line",
        [
            "-- a::date would do",
            'select {{ ratio("a", "b") }} as c, \'qualify // epoch(\' as d from e',
            'select {{ cast_or_null("a", "timestamp") }} as day, b from {{ ref("c") }}',
            "select cast(a as double precision) - interval '60 days' from b",
            "select round(a) as first, b as last, extract(epoch from (a - b)) from c",
            "select first_value(a) over (order by b) from c",
            "select count(*) filter (where a) from b group by c",
            "{% for a in [1, 2] %}select {{ a }}{% endfor %}",
        ],
    )
    def test_leave_what_both_understand(self, line: str) -> None:
        assert complaints(line, "models/good.sql") == []
