"""What the analyzer's pages are made of: classes, choices, numbers for people, exports."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from orchestrate.analyzer import choice as choices
from orchestrate.analyzer import formats
from orchestrate.analyzer.__main__ import parser
from orchestrate.analyzer.choice import Choice, ChoiceError, choose, chosen
from orchestrate.analyzer.classes import CLASSES, classify
from orchestrate.analyzer.printing import show
from orchestrate.analyzer.report import (
    Insight,
    Metric,
    Report,
    Table,
    Tone,
    Unit,
    as_json,
    csv,
)
from orchestrate.analyzer.sitemap import PAGES
from orchestrate.ledger.model import FAILED


class TestClassify:
    @pytest.mark.parametrize(
        ("status", "outcome", "expected"),
        [
            ("success", None, "success"),
            ("success", "changed", "success"),
            ("success", "identical", "no-op"),
            ("pass", None, "success"),
            ("warn", None, "success"),
            ("reused", None, "reused"),
            ("no-op", None, "no-op"),
            ("skipped", None, "skipped"),
            ("skipped", "identical", "skipped"),
            ("error", "identical", "error"),
            ("killed", None, "error"),
        ],
    )
    def test_gives_each_status_its_class(
        self, status: str, outcome: str | None, expected: str
    ) -> None:
        found = classify(pd.Series([status]), pd.Series([outcome], dtype="object"))
        assert found.tolist() == [expected]

    def test_calls_every_failure_an_error(self) -> None:
        failed = pd.Series(sorted(FAILED))
        assert set(classify(failed, failed)) == {"error"}

    def test_has_no_class_for_what_is_under_way_or_unknown(self) -> None:
        found = classify(pd.Series([None, "started"], dtype="object"), pd.Series([None, None]))
        assert found.isna().all()
        assert tuple(found.cat.categories) == CLASSES


class TestChoose:
    def test_reads_texts_as_an_address_has_them(self) -> None:
        found = choose({"days": "7", "job": ["a", "b"], "machine_hour": "0.5", "currency": "EUR"})
        assert found == Choice(days=7, job=("a", "b"), machine_hour=0.5, currency="EUR")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"days": "many"}, r"days is 'many'"),
            ({"days": "-1"}, r"days is '-1'.*>= 0"),
            ({"currency": "CHF"}, r"currency is 'CHF'.*USD, EUR, GBP, CAD, AUD"),
            ({"machine_hour": "-1"}, r"machine_hour is '-1'"),
            ({"warehouse_size": "Huge"}, r"warehouse_size is 'Huge'.*X-Small"),
            ({"job_type": ["daily"]}, r"job_type is \['daily'\].*scheduled, ci, merge, other"),
            ({"colour": "red"}, r"'colour' can't be chosen\. There are: source, days"),
        ],
    )
    def test_refuses_the_rest_in_one_line(self, given: dict[str, object], said: str) -> None:
        with pytest.raises(ChoiceError, match=said) as error:
            choose(given)
        assert "\n" not in str(error.value)

    def test_and_chosen_are_each_others_inverse(self) -> None:
        given = {"days": 7, "job": ("a",), "group_by": "owner", "warehouse_size": "Medium"}
        assert chosen(choose(given)) == given
        assert chosen(choose({})) == {}

    def test_knows_what_every_page_asks_for(self) -> None:
        assert set(choices.PAGE_FIELDS) == set(PAGES)
        for names in choices.PAGE_FIELDS.values():
            for name in (*names, *choices.WINDOW):
                assert choices.description(name)


class TestFormats:
    @pytest.mark.parametrize(
        ("number", "unit", "expected"),
        [
            (1234567, Unit.COUNT, "1,234,567"),
            (2.5, Unit.COUNT, "2.50"),
            (0.5, Unit.SHARE, "50 %"),
            (1 / 3, Unit.SHARE, "33.3 %"),
            (0.004, Unit.SECONDS, "0.00 s"),
            (59.96, Unit.SECONDS, "1 min"),
            (125, Unit.SECONDS, "2 min 5 s"),
            (7800, Unit.SECONDS, "2 h 10 min"),
            (273_600, Unit.SECONDS, "3 d 4 h"),
            (None, Unit.SHARE, "–"),  # noqa: RUF001
            (float("nan"), Unit.SECONDS, "–"),  # noqa: RUF001
            ("2 of 3", Unit.TEXT, "2 of 3"),
        ],
    )
    def test_are_as_people_write(
        self, number: float | str | None, unit: Unit, expected: str
    ) -> None:
        assert formats.value(number, unit) == expected

    @pytest.mark.parametrize(
        ("amount", "currency", "expected"),
        [
            (1234.5, "USD", "$1,234.50"),
            (1234.5, "EUR", "€1,234.50"),
            (0.5, "GBP", "£0.5000"),
            (-2, "CAD", "-CA$2.00"),
            (0, "AUD", "A$0.00"),
        ],
    )
    def test_of_money_have_their_own_sign(
        self, amount: float, currency: str, expected: str
    ) -> None:
        assert formats.money(amount, currency) == expected

    def test_of_every_currency_there_are(self) -> None:
        assert tuple(formats.SYMBOLS) == choices.values("currency")

    def test_tell_the_bounds_where_they_are_known(self) -> None:
        metric = Metric(name="saved", value=2.0, unit=Unit.MONEY, low=1.0, high=3.0)
        assert formats.metric(metric, "EUR") == "€2.00 (€1.00 to €3.00)"


def report() -> Report:
    frame = pd.DataFrame(
        {
            "name": ["=cmd()", "b"],
            "at": pd.to_datetime(["2026-11-20T12:00:00Z", None]),
            "share": [0.5, float("nan")],
            "tags": [["x", "y"], []],
        }
    )
    return Report(
        page="overview",
        metrics=[Metric(name="Reuse rate", value=0.25, unit=Unit.SHARE, goal=0.3)],
        insights=[Insight(Tone.GOOD, "All is well."), Insight(Tone.BAD, "2 tests fail.")],
        tables={"things": Table(title="Things", frame=frame, units={"share": Unit.SHARE})},
    )


class TestExport:
    def test_as_json_is_plain_and_has_null_for_the_unknown(self) -> None:
        found = json.loads(json.dumps(as_json(report())))
        assert found["metrics"][0]["value"] == 0.25
        assert found["insights"][1] == {"tone": "bad", "text": "2 tests fail."}
        assert found["tables"]["things"] == [
            {"name": "=cmd()", "at": "2026-11-20T12:00:00+00:00", "share": 0.5, "tags": ["x", "y"]},
            {"name": "b", "at": None, "share": None, "tags": []},
        ]

    def test_as_csv_has_a_row_a_line_and_no_formula(self) -> None:
        assert csv(report().tables["things"].frame).splitlines() == [
            "name,at,share,tags",
            "'=cmd(),2026-11-20T12:00:00+00:00,0.5,x; y",
            "b,,,",
        ]

    def test_as_text_tells_the_worst_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        show(report(), 1)
        text = capsys.readouterr().out
        assert "Reuse rate  25 %   goal 30 %" in text
        assert text.index("BAD   2 tests fail.") < text.index("ok    All is well.")
        assert "50 %" in text
        assert "... and 1 more row: --json" in text

    def test_as_text_of_an_empty_page_says_what_to_do(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show(Report(page="cost", empty="Run the pipeline."), 10)
        assert "Run the pipeline." in capsys.readouterr().out


class TestCommandLine:
    def test_serves_the_app_where_no_page_is_named(self) -> None:
        assert parser({}).parse_args([]).page == "serve"

    @pytest.mark.parametrize("page", sorted(PAGES))
    def test_knows_every_page(self, page: str) -> None:
        found = parser({}).parse_args([page, "--json", "--days", "7", "--job", "a", "--job", "b"])
        assert (found.page, found.days, found.job) == (page, "7", ["a", "b"])

    def test_looks_where_the_variable_says(self) -> None:
        found = parser({"ANALYZER_OUTPUT_PATH": "elsewhere"}).parse_args(["cost"])
        assert str(found.output) == "elsewhere"
