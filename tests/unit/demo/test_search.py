from __future__ import annotations

import pytest

from tap_sentry.demo import search
from tap_sentry.demo.exchange import ApiError


def holds(query: str, row: dict[str, object]) -> bool:
    test = search.matcher(search.terms(query), lambda r, key: r.get(key), lambda r: r["text"])
    return test({"text": "Cannot read price", **row})


class TestTerms:
    @pytest.mark.parametrize(
        ("query", "row"),
        [
            ("", {}),
            ("level:error", {"level": "error"}),
            ("level:[error, fatal]", {"level": "fatal"}),
            ("!level:error", {"level": "info"}),
            ('release:"a b#2"', {"release": "a b#2"}),
            ("release:shop@*", {"release": "shop@1.2.3"}),
            ("has:user.id", {"user.id": "1001"}),
            ("!has:user.id", {"user.id": None}),
            ("span.duration:>=5 span.duration:<6", {"span.duration": 5.5}),
            ("is_transaction:true", {"is_transaction": True}),
            ("project.id:42", {"project.id": 42}),
            ("timestamp:>=2026-11-20T00:00:00Z", {"timestamp": "2026-11-20T00:00:00+00:00"}),
            ("tags[server_name]:web-1", {"tags[server_name]": "web-1"}),
            ("price AND level:error", {"level": "error"}),
        ],
    )
    def test_hold(self, query: str, row: dict[str, object]) -> None:
        assert holds(query, row)

    @pytest.mark.parametrize(
        ("query", "row"),
        [
            ("level:error", {"level": "info"}),
            ("level:error", {}),
            ("!level:error", {"level": "error"}),
            ("has:user.id", {}),
            ("span.duration:>5", {"span.duration": 5}),
            ("span.duration:<5", {"span.duration": None}),
            ("timestamp:<2026-11-20T00:00:00", {"timestamp": "2026-11-20T00:00:00+00:00"}),
            ("project.id:abc", {"project.id": 42}),
            ("basket", {}),
        ],
    )
    def test_do_not_hold(self, query: str, row: dict[str, object]) -> None:
        assert not holds(query, row)

    @pytest.mark.parametrize("query", ["a OR b", "span.duration:>soon"])
    def test_that_make_no_sense_are_bad_requests(self, query: str) -> None:
        with pytest.raises(ApiError, match="400"):
            holds(query, {"span.duration": 1})
