from __future__ import annotations

import copy
import hashlib
import hmac
import json
import string
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_sentry.errors import SettingsError
from tap_sentry.personal_data import PersonalData
from tap_sentry.personal_fields import MASKED

KEY = "a long random text"


def json_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )


json_values = json_of(st.text())


def masking(mode: str, key: str | None = KEY) -> PersonalData:
    found = PersonalData.of(mode, key)
    assert found is not None
    return found


def digest(value: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), value.encode(), "sha256").hexdigest()[:32]


HASH, DROP = masking("hash"), masking("drop")
BOTH = pytest.mark.parametrize("mask", [HASH, DROP], ids=["hash", "drop"])

# Rows with one person in them: where a value of each kind stands, `_` in place of the value.
PLACES = {
    "email": (
        {"user": {"email": "_"}},
        {"email": "_", "comments": "hi"},
        {"user.email": "_"},
        {"tags[user.email]": "_"},
        {"user": "email:_"},
        {"tags": [{"key": "user", "value": "email:_"}]},
        {"tags": [{"key": "user.email", "value": "_"}]},
        {"tags": {"user.email": ["_"]}},
        {"user": {"emails": [{"id": "1", "email": "_"}]}},
        {"seenBy": [{"id": "1", "email": "_", "username": "_", "name": "_"}]},
        {"activity": [{"data": {"assigneeEmail": "_"}}]},
        {"statusDetails": {"actor": {"email": "_"}}},
        {"inviterName": "_"},
        {"user": {"id": "_"}},
        {"user.id": "_"},
        {"message": "no mail to _, sorry"},
        {"transaction": "/users/_/orders"},
        {"context": {"seen": {"_": 3}}},
        {"_": 3},
    ),
    "ip_address": (
        {"user": {"ip_address": "_"}},
        {"user": {"ip": "_"}},
        {"user": {"ipAddress": "_"}},
        {"user.ip": "_"},
        {"user": "ip:_"},
        {"user": {"id": "_"}},
        {"message": "refused by _."},
        {"metadata": {"value": "connect([_]) failed"}},
    ),
    "username": (
        {"user": {"username": "_"}},
        {"user.username": "_"},
        {"user": "username:_"},
        {"tags": [{"value": "username:_", "key": "user"}]},
        {"externalUsers": [{"externalName": "_"}]},
        {"actor": {"username": "_"}},
    ),
    "name": (
        {"user": {"name": "_"}},
        {"user": {"display_name": "_"}},
        {"assignedTo": {"type": "user", "id": "1", "name": "_"}},
        {"owner": {"type": "user", "id": "1", "name": "_"}},
        {"authors": [{"name": "_", "email": None}]},
        {"lastCommit": {"author": {"name": "_"}}},
        {"author": "_"},
        {"participants": [{"name": "_"}]},
        {"inviterName": "_"},
        {"config": {"targetType": "user", "targetDisplay": "_"}},
        {"contexts": {"device": {"name": "_"}}},
        {"tags": [{"key": "device.name", "value": "_"}]},
    ),
    "content": (
        {"entries": [{"type": "request", "data": {"data": {"x": "_"}}}]},
        {"entries": [{"type": "request", "data": {"data": "_"}}]},
        {"entries": [{"type": "request", "data": {"query": [["q", "_"]]}}]},
        {"entries": [{"type": "request", "data": {"headers": [["Cookie", "_"]]}}]},
        {"entries": [{"type": "request", "data": {"cookies": [["c", "_"]]}}]},
        {"entries": [{"type": "request", "data": {"env": {"HOME": "_"}}}]},
        {"entries": [{"type": "request", "data": {"fragment": "_"}}]},
        {"entries": [{"type": "request", "data": {"url": "https://example.com/?q=_"}}]},
        {"entries": [{"data": {"values": [{"stacktrace": {"frames": [{"vars": {"x": "_"}}]}}]}}]},
        {"contexts": {"response": {"headers": {"Set-Cookie": "_"}, "data": "_"}}},
        {"user": {"data": {"plan": "_"}}},
        {"user": {"geo": {"country_code": "DE", "city": "_", "subdivision": "_"}}},
        {"user.geo.city": "_"},
        {"user": {"avatarUrl": "https://example.com/_"}},
        {"http.query": "_"},
        {"http.request.header.cookie": "_"},
        {"urls": ["https://example.com/#_"]},
    ),
}
FREE_TEXTS = {"_", "message", "transaction", "metadata", "context"}

letters = string.ascii_letters
emails = st.builds(
    "{}.{}@{}.example.org".format,
    st.text(letters, min_size=1, max_size=8),
    st.text(letters + string.digits, min_size=1, max_size=8),
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
)
addresses = st.ip_addresses(v=4, network="203.0.113.0/24") | st.ip_addresses(
    v=6, network="2001:db8::/32"
)
# Z in front: none of them is by chance a word of the rows around.
names = st.one_of(
    st.text(letters + string.digits + "._-'", min_size=4, max_size=12).map("Zq{}z".format),
    st.builds("{} {}".format, st.sampled_from(["Zoë", "İpek", "张伟明"]), st.text(letters)),
)
VALUES = {
    "email": emails,
    "ip_address": addresses.map(str),
    "username": names,
    "name": names,
    "content": names | emails,
}
planted = st.sampled_from(list(VALUES)).flatmap(
    lambda kind: st.tuples(st.sampled_from(PLACES[kind]), VALUES[kind])
)

# Bodies, places and the like leave their field, and are not looked for elsewhere.
in_fields = st.sampled_from(["email", "ip_address", "username", "name"]).flatmap(
    lambda kind: st.tuples(
        st.sampled_from([row for row in PLACES[kind] if not FREE_TEXTS & row.keys()]), VALUES[kind]
    )
)


def filled(row: Any, value: str) -> Any:
    """The row with the value in place of each `_`, in keys as well."""
    if isinstance(row, dict):
        return {value if key == "_" else key: filled(entry, value) for key, entry in row.items()}
    if isinstance(row, list):
        return [filled(entry, value) for entry in row]
    return row.replace("_", value) if isinstance(row, str) else row


def text_of(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False).lower()


class TestPersonalData:
    @BOTH
    @given(planted, json_values)
    def test_is_nowhere_afterwards(
        self, mask: PersonalData, found: tuple[Any, str], other: Any
    ) -> None:
        row, value = found
        row = {"extra": _renamed(other), **filled(row, value), "eventID": "ab" * 16}
        assert value.lower() not in text_of(mask(row))

    @BOTH
    @given(in_fields)
    def test_of_a_field_is_found_in_other_texts_of_the_row(
        self, mask: PersonalData, found: tuple[Any, str]
    ) -> None:
        field, value = filled(*found), found[1]
        row = {
            "message": f"for {value}, <{value.upper()}>",
            "breadcrumbs": [{"data": {"to": f"/a/{quote(value, safe='')}/b"}}],
            **field,
        }
        assert value.lower() not in text_of(mask(row))
        assert quote(value, safe="").lower() not in text_of(mask(row))

    @given(planted, json_values)
    def test_is_dropped_once_and_for_all(self, found: tuple[Any, str], other: Any) -> None:
        row = {"extra": other, **filled(*found)}
        assert DROP(DROP(row)) == DROP(row)

    @BOTH
    @given(json_values, planted)
    def test_leaves_the_row_itself_alone(
        self, mask: PersonalData, other: Any, found: tuple[Any, str]
    ) -> None:
        row = {"extra": other, **filled(*found)}
        before = copy.deepcopy(row)
        mask(row)
        assert row == before

    @BOTH
    def test_is_found_in_a_gravatar_address(self, mask: PersonalData) -> None:
        for algorithm in ("md5", "sha256"):
            found = hashlib.new(algorithm, b"jo@example.com").hexdigest()
            row = {"user": {"email": "Jo@example.com"}, "picture": f"https://g.example/{found}?s=3"}
            assert found not in text_of(mask(row))

    @BOTH
    def test_of_a_name_of_two_letters_is_masked_in_its_field_only(self, mask: PersonalData) -> None:
        masked = mask({"user": {"name": "Jo", "id": "jo"}, "title": "No jo left"})
        assert masked["title"] == "No jo left"
        assert {"Jo", "jo"}.isdisjoint(masked["user"].values())

    def test_is_found_as_a_word_and_not_as_a_part_of_one(self) -> None:
        row = {"user": {"name": "Ann"}, "title": "Cannot ask ann: Annotation"}
        assert DROP(row)["title"] == "Cannot ask [removed]: Annotation"

    @BOTH
    def test_of_many_rows_at_once_stays_apart(self, mask: PersonalData) -> None:
        rows = [
            {"user": {"username": f"zoe{n}"}, "message": f"zoe{n} or zoe{n + 1}"}
            for n in range(200)
        ]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(mask, rows)) == [mask(row) for row in rows]


class TestHashes:
    @pytest.mark.parametrize("row", PLACES["email"])
    def test_of_an_email_address_are_the_same_everywhere(self, row: Any) -> None:
        assert digest("jo@example.com") in text_of(HASH(filled(row, "Jo@Example.com")))

    def test_ignore_case_and_space_of_email_addresses_and_spelling_of_ip_addresses(self) -> None:
        assert HASH({"email": " JO@example.com "}) == HASH({"email": "jo@example.com"})
        assert HASH({"ip": "2001:DB8:0::1"}) == HASH({"ip": "2001:db8::1"})
        assert HASH({"ip": "::ffff:203.0.113.4"}) == HASH({"ip": "203.0.113.4"})

    @pytest.mark.parametrize(
        "text", ["the+name=Jo+B.+Smith", "/%20Jo B. Smith", '{"a": "Jo B. Smith"}']
    )
    def test_of_names_stand_in_place_of_all_spellings(self, text: str) -> None:
        row = {"user": {"name": "Jo B. Smith"}, "message": text}
        assert digest("Jo B. Smith") in HASH(row)["message"]

    def test_of_addresses_win_over_names_inside(self) -> None:
        row = {"user": {"name": "smith"}, "message": "jo.smith@example.com"}
        assert HASH(row)["message"] == digest("jo.smith@example.com")

    def test_in_a_url_are_those_of_the_address(self) -> None:
        for text in ("/?a%3Djo%40example.com", "/%20jo%40example.com"):
            assert digest("jo@example.com") in HASH({"message": text})["message"]

    @given(names)
    def test_are_those_of_names_in_all_fields(self, name: str) -> None:
        masked = HASH({"user": {"name": name, "username": name}, "user.username": name})
        assert {*masked["user"].values(), masked["user.username"]} == {digest(name.strip())}

    @given(emails)
    def test_differ_from_key_to_key(self, email: str) -> None:
        assert HASH({"email": email}) != masking("hash", "another key")({"email": email})

    def test_stay_those_of_earlier_versions(self) -> None:
        masked = masking("hash", "key")({"email": "jo@example.com"})
        assert masked == {"email": "28d9dd4263d6f4ea4626048c15ab6f8d"}

    def test_do_not_fail_on_half_a_character(self) -> None:
        assert len(HASH({"user": {"name": "abc\ud800"}, "title": "abc\ud800"})["title"]) == 32


class TestIds:
    @BOTH
    @pytest.mark.parametrize(
        "row",
        [
            {"user": {"id": "42", "email": "jo@example.com"}},
            {"user.id": "550e8400-e29b-41d4-a716-446655440000"},
            {"user": "id:42"},
            {"owner": "team:7"},
            {"createdBy": "90101"},
            {"tags": [{"key": "user", "value": "id:42"}]},
            {"user": {"id": 42}},
        ],
    )
    def test_that_tell_nothing_stay(self, mask: PersonalData, row: Any) -> None:
        wanted = json.loads(json.dumps(row).replace('"jo@example.com"', "null"))
        if mask is HASH:
            wanted = json.loads(json.dumps(row).replace("jo@example.com", digest("jo@example.com")))
        assert mask(row) == wanted

    @pytest.mark.parametrize("field", ["username", "email", "ip_address", "name"])
    def test_equal_to_another_field_are_masked_like_it(self, field: str) -> None:
        row = {"user": {"id": "JO7", field: "jo7"}, "tags": [{"key": "user", "value": "id:jo7"}]}
        tags = [{"key": "user", "value": f"id:{digest('jo7')}"}]
        assert HASH(row) == {"user": {"id": digest("jo7"), field: digest("jo7")}, "tags": tags}
        assert DROP(row)["user"] == {"id": None, field: None}


class TestTheRest:
    @pytest.mark.parametrize(
        "row",
        [
            {"id": "1", "slug": "zoe", "project": {"id": 7, "name": "Zoe"}},
            {"release": "app@1.2.3-rc.beta", "version": "10.0.0.1", "dist": "1.2.3.4"},
            {"release": {"version": "1.2.3.4"}, "sdk": {"name": "zoe", "version": "1.2.3.4"}},
            {"tags": [{"key": "release", "value": "10.0.0.1"}, {"key": "level", "value": "zoe"}]},
            {"environment": "zoe", "level": "zoe", "contexts": {"browser": {"name": "Zoe"}}},
            {"assignedTo": {"type": "team", "id": "7", "name": "Ants"}, "owner": {"type": "team"}},
            {"team": {"name": "Zoe"}, "teams": [{"name": "Zoe", "slug": "zoe"}]},
            {"dateCreated": "2026-11-20T12:00:00.123456Z", "note": "12:30:45, 2026-11-20T12:00:00"},
            {"title": "std::a::b and Foo::bar at 10:20:30, e1::, ::, v1.2.3.4, 1.2.3.4.5"},
            {"title": "Cannot find app@1.2.3-rc.beta", "dateSeen": "zoe"},
            {"title": "Chrome/142.0.0.0 of @sentry/react@10.2.0 in node_modules/@sentry/core"},
            {"count": "17", "userCount": 3, "isUnhandled": True, "culprit": None, "seer": 0.5},
            {"user": {"geo": {"country_code": "DE", "region": "Germany"}, "email": None}},
            {"dsn": {"public": "https://abc@o1.ingest.example.com/1"}},
            {"entries": [{"type": "request", "data": {"method": "GET", "data": 17, "env": None}}]},
            {"replay": {"user": {"id": "Archived Replay", "display_name": "Archived Replay"}}},
            {"actionFilters": [{"config": {"targetType": "specific", "targetDisplay": "#alerts"}}]},
        ],
    )
    @BOTH
    def test_stays_beside_somebody_of_the_same_name(self, mask: PersonalData, row: Any) -> None:
        # What is told of somebody called like a project must not change the project.
        someone = {"seenBy": [{"id": "42", "username": "zoe"}]}
        masked = mask({**row, **someone})
        assert {key: masked[key] for key in row} == row

    @BOTH
    def test_keeps_the_names_of_things(self, mask: PersonalData) -> None:
        rows: list[dict[str, Any]] = [
            {"id": "1", "slug": "web", "name": "Jo's shop", "options": {"name": "a"}},
            {"id": "1", "key": "level", "name": "Level", "topValues": [{"name": "error"}]},
            {"id": "m", "name": "Nightly", "owner": {"type": "team", "id": "7", "name": "Ants"}},
            {"id": "c", "repository": {"name": "acme/web"}, "message": "Ship it"},
        ]
        assert [mask(row) for row in rows] == rows

    @BOTH
    @given(json_of(st.text(letters + " -/#?")))
    def test_stays_as_it_is(self, mask: PersonalData, value: Any) -> None:
        row = {"extra": _renamed(value), "projectID": "7", "count": 3}
        assert mask(row) == row

    @BOTH
    @pytest.mark.parametrize(
        "odd", [None, 7, 1.5, True, "", " ", ":", [], {}, [None], [[["x"]]], {"": None}, ["email:"]]
    )
    def test_does_not_fail_on_odd_shapes(self, mask: PersonalData, odd: Any) -> None:
        for rule in MASKED:
            for name in (*rule.names, "geo", "request", "device", "tags", "entries", "key"):
                row = {name: odd, "user": {name: odd}, "value": odd, "type": odd, "key": odd}
                assert mask(row).keys() == row.keys()

    @BOTH
    def test_is_masked_200_levels_deep(self, mask: PersonalData) -> None:
        row: dict[str, Any] = {"email": "jo@example.com"}
        for _ in range(100):
            row = {"a": [row]}
        assert "jo@" not in text_of(mask(row))

    def test_of_a_long_text_takes_no_quadratic_time(self) -> None:
        # Of the square this would take days.
        for part in ("a", "a.", "1.", "a:", "%40", "@a", "a@a."):
            HASH({"message": part * 100_000 + "@"})


class TestModes:
    def test_keep_has_nothing_to_do(self) -> None:
        assert PersonalData.of("keep", None) is None

    @pytest.mark.parametrize(("mode", "key"), [("hash", None), ("hash", ""), ("mask", KEY)])
    def test_without_sense_stop_the_run(self, mode: str, key: str | None) -> None:
        with pytest.raises(SettingsError, match="mask_pii"):
            PersonalData.of(mode, key)

    def test_drop_needs_no_key(self) -> None:
        assert masking("drop", None)({"email": "jo@example.com"}) == {"email": None}


def _renamed(value: Any) -> Any:
    """The value with keys that name nothing."""
    if isinstance(value, dict):
        return {f"k{number}": _renamed(entry) for number, entry in enumerate(value.values())}
    return [_renamed(entry) for entry in value] if isinstance(value, list) else value
