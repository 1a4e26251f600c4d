from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.redaction import without_secrets


def json_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )


json_values = json_of(st.text())


class TestSecrets:
    @pytest.mark.parametrize(
        "key",
        [
            "token",
            "securityToken",
            "sentry:token",
            "sentry:scrub_password",
            "secret",
            "clientSecret",
            "dsn.secret",
            "API_KEY",
            "apiKey",
            "private_key",
            "privateKey",
            "api-key",
            "private-key",
            "credentials",
        ],
    )
    @pytest.mark.parametrize("value", ["hush", 17, ["hush"], {"a": "hush"}])
    def test_leave_whatever_their_form(self, key: str, value: Any) -> None:
        assert without_secrets({key: value, "id": "1"}) == {"id": "1"}

    def test_leave_nested_objects_and_lists(self) -> None:
        row = {"dsn": {"public": "a", "secret": "b"}, "keys": [{"secret": "c"}, [{"token": "d"}]]}
        assert without_secrets(row) == {"dsn": {"public": "a"}, "keys": [{}, [{}]]}

    @given(json_values)
    def test_are_nowhere_afterwards(self, value: Any) -> None:
        row = {"a": [{"b": value, "token": "hush-hush"}], "secretKey": "hush-hush"}
        assert "hush-hush" not in repr(without_secrets(row))


class TestOtherValues:
    @pytest.mark.parametrize("value", [True, False, None, "", 0, [], {}])
    def test_under_such_a_key_stay_where_they_tell_nothing(self, value: Any) -> None:
        assert without_secrets({"hasToken": value}) == {"hasToken": value}

    @given(json_values)
    def test_stay_the_same_without_secret_keys(self, value: Any) -> None:
        row = {"value": _renamed(value)}
        assert without_secrets(row) == row

    @given(json_values)
    def test_stay_the_same_the_second_time(self, value: Any) -> None:
        once = without_secrets(value)
        assert without_secrets(once) == once

    def test_of_the_original_are_untouched(self) -> None:
        row = {"options": {"sentry:token": "a", "b": [{"secret": "c"}]}}
        before = copy.deepcopy(row)
        found = without_secrets(row)
        assert row == before
        found["options"]["b"].append("x")
        assert row == before


def _renamed(value: Any) -> Any:
    """The value with keys that name nothing."""
    if isinstance(value, dict):
        return {f"k{number}": _renamed(entry) for number, entry in enumerate(value.values())}
    return [_renamed(entry) for entry in value] if isinstance(value, list) else value
