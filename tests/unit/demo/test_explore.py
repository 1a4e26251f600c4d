from __future__ import annotations

from typing import Any

import pytest

from tap_sentry.demo.explore_fields import SPAN_FIELDS
from tests.unit.demo.client import ORGANIZATION, Client, frozen_world

PATH = f"{ORGANIZATION}events/"
SERIES = f"{ORGANIZATION}events-timeseries/"
WINDOW = {"start": "2026-11-17T00:00:00Z", "end": "2026-11-19T00:00:00Z"}
SPANS = {"dataset": "spans", "project": -1, "sampling": "HIGHEST_ACCURACY"}
RAW = {"disableAggregateExtrapolation": "1"}
COUNTS = {"dataset": "spans", "project": -1, "yAxis": "count()", "interval": 3600, **WINDOW}
ORDER = ["-timestamp", "-id"]


@pytest.fixture
def client() -> Client:
    return Client()


class TestRows:
    def test_are_all_spans_once(self, client: Client) -> None:
        rows = client.rows(PATH, field=["id", "trace", "timestamp"], sort=ORDER, **SPANS)
        assert len({(row["trace"], row["id"]) for row in rows}) == len(rows)
        assert len(rows) == frozen_world().counts()["spans"]

    def test_are_ordered_totally(self, client: Client) -> None:
        query = {**SPANS, **WINDOW, "field": ["id", "timestamp"], "sort": ORDER}
        rows = client.rows(PATH, **query)
        keys = [(row["timestamp"], row["id"]) for row in rows]
        assert keys == sorted(keys, reverse=True)
        assert len({key[0] for key in keys}) < len(keys)  # whole seconds tie

    def test_lie_in_the_half_open_window(self, client: Client) -> None:
        rows = client.rows(PATH, field="timestamp", **SPANS, **WINDOW)
        assert all(WINDOW["start"][:19] <= r["timestamp"][:19] < WINDOW["end"] for r in rows)

    def test_carry_id_and_project_unasked(self, client: Client) -> None:
        body = client.json(PATH, field="span.op", **SPANS, **WINDOW)
        assert list(body["data"][0]) == ["span.op", "id", "project.name"]
        body = client.json(PATH, field=["id", "project.id"], **SPANS, **WINDOW)
        assert list(body["data"][0]) == ["id", "project.id"]
        assert isinstance(body["data"][0]["project.id"], int)

    def test_have_meta(self, client: Client) -> None:
        meta = client.json(PATH, field=["span.duration", "id"], **SPANS, **WINDOW)["meta"]
        assert meta["fields"]["span.duration"] == "duration"
        assert meta["units"]["span.duration"] == "millisecond"
        assert (meta["dataset"], meta["dataScanned"]) == ("spans", "full")

    def test_show_nulls_for_what_nobody_set(self, client: Client) -> None:
        query = {**SPANS, **WINDOW, "field": ["id", "tags[colour]", "profile.id"]}
        row = client.json(PATH, **query)["data"][0]
        assert row["tags[colour]"] is row["profile.id"] is None

    def test_can_be_searched(self, client: Client) -> None:
        trace = client.json(PATH, field="trace", **SPANS, **WINDOW)["data"][0]["trace"]
        query = {**SPANS, "field": ["id", "trace", "is_transaction"]}
        rows = client.rows(PATH, query=f"trace:{trace}", **query)
        assert {row["trace"] for row in rows} == {trace}
        roots = client.rows(PATH, query=f"trace:{trace} is_transaction:true", **query)
        assert 0 < len(roots) < len(rows)

    def test_of_errors_are_the_events(self, client: Client) -> None:
        query = {"dataset": "errors", "project": -1, "sort": "id"}
        fields = ["id", "issue.id", "timestamp", "tags[environment]"]
        rows = client.rows(PATH, field=fields, **query)
        ids = [row["id"] for row in rows]
        assert ids == sorted(event.id for event in frozen_world().events())
        assert isinstance(rows[0]["issue.id"], int)
        assert rows[0]["tags[environment]"] in {"production", "staging", "development"}

    def test_of_other_datasets_are_none(self, client: Client) -> None:
        assert client.json(PATH, field="id", dataset="logs")["data"] == []

    def test_without_pagination_have_no_link(self, client: Client) -> None:
        response = client.get(PATH, field="id", noPagination=1, **SPANS, **WINDOW)
        assert "Link" not in response.headers


class TestFields:
    # Transactions are no events of their own any more.
    @pytest.mark.parametrize("field", sorted(SPAN_FIELDS.keys() - {"transaction.event_id"}))
    def test_of_spans_are_known_somewhere(self, client: Client, field: str) -> None:
        rows = client.rows(PATH, field=["id", field], **SPANS, **WINDOW)
        assert any(row[field] is not None for row in rows)

    def test_are_more_than_one_request_can_ask_for(self, client: Client) -> None:
        names = sorted(SPAN_FIELDS)
        assert len(names) > 2 * 20
        first = client.rows(PATH, field=["id", *names[:19]], sort="id", **SPANS, **WINDOW)
        second = client.rows(PATH, field=["id", *names[19:38]], sort="id", **SPANS, **WINDOW)
        assert [row["id"] for row in first] == [row["id"] for row in second]

    def test_of_their_own_have_the_type_they_were_sent_in(self, client: Client) -> None:
        tier, items = "tags[customer.tier]", "tags[cart.items,number]"
        query = {**SPANS, **WINDOW, "query": "project:checkout-api is_transaction:true"}
        body = client.json(PATH, field=["id", tier, items], **query)
        assert {row[tier] for row in body["data"]} == {"basic", "plus", "gold"}
        assert all(isinstance(row[items], float) for row in body["data"])
        assert body["meta"]["fields"][items] == "number"
        as_text = client.json(PATH, field=["id", "tags[cart.items]"], **query)["data"]
        assert not any(row["tags[cart.items]"] for row in as_text)


class TestAggregates:
    def test_count_stored_rows_or_real_ones(self, client: Client) -> None:
        query = {**SPANS, **WINDOW, "field": "count()"}
        stored = client.json(PATH, **query, **RAW)["data"][0]["count()"]
        assert stored == len(client.rows(PATH, **{**query, "field": "id"}))
        assert client.json(PATH, **query)["data"][0]["count()"] > stored

    def test_group_by_the_other_fields(self, client: Client) -> None:
        fields = ["project", "count()", "count_unique(trace)", "min(timestamp)", "max(timestamp)"]
        query = {**SPANS, **RAW, **WINDOW, "field": fields, "sort": "-count()"}
        rows = client.rows(PATH, **query)
        counts = [row["count()"] for row in rows]
        assert counts == sorted(counts, reverse=True)
        total = client.json(PATH, **{**query, "field": "count()"})["data"][0]["count()"]
        assert sum(counts) == total
        for row in rows:
            assert row["count_unique(trace)"] <= row["count()"]
            assert row["min(timestamp)"] <= row["max(timestamp)"]

    def test_of_an_empty_window_count_zero(self, client: Client) -> None:
        query = {**SPANS, **WINDOW, "query": "span.op:none"}
        assert client.json(PATH, field="count()", **query)["data"] == [{"count()": 0}]
        assert client.json(PATH, field=["project", "count()"], **query)["data"] == []

    def test_know_percentiles(self, client: Client) -> None:
        fields = ["transaction", "p95(span.duration)", "avg(span.duration)"]
        query = {**SPANS, "query": "is_transaction:true span.op:http.server", "field": fields}
        rows = client.rows(PATH, **query, sort="-p95(span.duration)")
        assert rows[0]["transaction"] == "GET /search"

    def test_of_errors_agree_with_issues(self, client: Client) -> None:
        query = {"dataset": "errors", "project": -1, "field": ["issue.id", "count()"]}
        found = {str(row["issue.id"]): row["count()"] for row in client.rows(PATH, **query)}
        assert found == {s.issue.id: len(s.events) for s in frozen_world().issues()}

    def test_of_errors_count_issues_of_each_project(self, client: Client) -> None:
        query = {"dataset": "errors", "project": -1}
        fields = ["project.id", "issue.id", "count()"]
        rows = client.rows(PATH, field=fields, **query)
        assert {(row["project.id"], row["issue.id"]): row["count()"] for row in rows} == {
            (int(seen.issue.project.id), int(seen.issue.id)): len(seen.events)
            for seen in frozen_world().issues()
        }
        for field in ("count_unique(issue)", "count_unique(issue.id)"):
            (row,) = client.json(PATH, field=field, **query)["data"]
            assert row[field] == frozen_world().counts()["issues"]

    def test_of_errors_can_be_about_some_issues(self, client: Client) -> None:
        first, second = frozen_world().issues()[:2]
        query = {"dataset": "errors", "project": -1, "field": ["id", "issue.id"], "sort": "id"}
        for text, issues in (
            (f"issue.id:{first.issue.id}", [first]),
            (f"issue.id:[{first.issue.id}, {second.issue.id}]", [first, second]),
        ):
            ids = [row["id"] for row in client.rows(PATH, query=text, **query)]
            assert ids == sorted(event.id for seen in issues for event in seen.events)


class TestSampling:
    def test_answers_heavy_scans_from_a_smaller_tier(self, client: Client) -> None:
        query = {**SPANS, "field": ["id", "trace"]}
        del query["sampling"]
        body = client.json(PATH, **query)
        assert body["meta"]["dataScanned"] == "partial"
        rows = client.rows(PATH, **query)
        assert len(rows) < frozen_world().counts()["spans"] / 4
        whole = client.rows(PATH, query=f"trace:{rows[0]['trace']}", **query)
        assert len(whole) == sum(row["trace"] == rows[0]["trace"] for row in rows)

    def test_leaves_light_scans_whole(self, client: Client) -> None:
        query = {"dataset": "spans", "project": -1, "field": "id", **WINDOW}
        assert client.json(PATH, **query)["meta"]["dataScanned"] == "full"

    def test_knows_its_modes(self, client: Client) -> None:
        response = client.get(PATH, field="id", **{**SPANS, "sampling": "BEST"})
        assert response.status_code == 400
        assert response.json()["detail"] == "sampling mode: BEST is not supported"

    def test_with_flexible_time_pages_forward_by_token(self, client: Client) -> None:
        query = {**WINDOW, **SPANS, "field": ["id", "timestamp"], "sort": ORDER, "per_page": 20}
        exact = client.rows(PATH, **query)
        query["sampling"] = "HIGHEST_ACCURACY_FLEX_TIME"
        assert client.rows(PATH, **query) == exact
        cursor = client.get(PATH, **query).links["next"]["cursor"]
        assert cursor.count(":") == 0
        assert client.get(PATH, **{**query, "sort": "-id"}).status_code == 400


class TestMistakes:
    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({}, "No columns selected"),
            ({"field": [f"f{n}" for n in range(21)]}, "You can view up to 20 fields at a time."),
            ({"field": "id", "sort": "-timestamp"}, "orderby must also be in the selected"),
            ({"field": "id", "dataset": "stars"}, "dataset must be one of"),
            ({"field": "id", "per_page": 101}, "Invalid per_page value."),
            ({"field": "id", "start": "2026-11-01"}, "Invalid date range: start and end"),
            ({"field": "id", "cursor": "?"}, "Invalid cursor parameter."),
            ({"field": "sum(span.op)", "dataset": "spans"}, "column is not numeric"),
            ({"field": "magic()", "dataset": "spans"}, "no such function"),
        ],
    )
    def test_are_bad_requests(self, client: Client, query: dict[str, Any], words: str) -> None:
        response = client.get(PATH, **query)
        assert response.status_code == 400
        assert words in response.json()["detail"]


class TestTimeseries:
    def test_counts_stored_rows_in_buckets_of_milliseconds(self, client: Client) -> None:
        (series,) = client.json(SERIES, **COUNTS, **RAW)["timeSeries"]
        values = series["values"]
        assert len(values) == 48
        assert values[1]["timestamp"] - values[0]["timestamp"] == 3_600_000
        assert series["meta"]["interval"] == 3_600_000
        stored = len(client.rows(PATH, field="id", **SPANS, **WINDOW))
        assert sum(value["sampleCount"] for value in values) == stored
        assert sum(value["value"] for value in values) == stored
        assert not any(value["incomplete"] for value in values)

    def test_extrapolates_unless_told_not_to(self, client: Client) -> None:
        (series,) = client.json(SERIES, **COUNTS)["timeSeries"]
        assert sum(v["value"] for v in series["values"]) > sum(
            v["sampleCount"] for v in series["values"]
        )

    def test_calls_the_newest_bucket_incomplete(self, client: Client) -> None:
        query = {"dataset": "errors", "project": -1, "interval": "1h", "statsPeriod": "3h"}
        (series,) = client.json(SERIES, **query)["timeSeries"]
        assert [v["incomplete"] for v in series["values"]][-1]

    def test_splits_into_the_largest_groups(self, client: Client) -> None:
        query = {**COUNTS, "groupBy": "project", "topEvents": 2}
        first, second = client.json(SERIES, **query)["timeSeries"]
        assert first["groupBy"] == [{"key": "project", "value": "catalog-api"}]
        assert (first["meta"]["order"], second["meta"]["order"]) == (0, 1)

    @pytest.mark.parametrize(
        "change",
        [
            {"interval": 77},
            {"interval": "often"},
            {"interval": 15},
            {"yAxis": "epm()"},
            {"groupBy": "project", "topEvents": 11},
        ],
    )
    def test_refuses_nonsense(self, client: Client, change: dict[str, Any]) -> None:
        assert client.get(SERIES, **{**COUNTS, **change}).status_code == 400
