"""Personal data, where `mask_pii` asks for it, leaves a row before it leaves the tap."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from tap_sentry.addresses import (
    MAYBE_ADDRESS,
    is_address,
    is_address_alone,
    normalised,
    without_addresses,
)
from tap_sentry.errors import SettingsError
from tap_sentry.personal_fields import (
    AFTER_COLON,
    ANYWHERE,
    CUT,
    DROPPED,
    FACTS,
    HASHED,
    IDS,
    IN_FACTS,
    IN_PERSON,
    IN_REQUEST,
    IN_REQUEST_ENTRY,
    MASKED,
    NO_PERSON_TYPES,
    OBJECTS,
    PERSON_MARKS,
    Effect,
)

REMOVED = "[removed]"
# What Sentry itself puts in place of personal data.
_NOBODY = (REMOVED, "[Filtered]", "Archived Replay")
# Shorter names would be found in too many words.
_SHORTEST_NAME_LETTERS = 3

_QUERY = re.compile(r"([?#]).+", re.DOTALL)
# In `user` of tags and spans, like id:42; without a prefix these are ids.
_TAG = ("key", "value")
_OPAQUE = re.compile(r"\d+|[0-9a-fA-F-]{32,36}")
_OPAQUE_PREFIXES = frozenset({"id:", "user:", "team:"})
_USER_PREFIXES = _OPAQUE_PREFIXES | {"email:", "username:", "ip:", "name:"}


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


_EFFECTS = {(rule.where, _plain(n)): rule.effect for rule in MASKED for n in rule.names}
_SCOPES = {_plain(name): scope for scope, names in OBJECTS.items() for name in names}
_FACTS = frozenset(map(_plain, FACTS))
_ID_NAMES = frozenset(map(_plain, IDS))
_PREFIXES = tuple(name[:-1] for _, name in _EFFECTS if name.endswith("*"))


class _Field(NamedTuple):
    """What a key means: its masked name, what happens to a text, where an object below it is."""

    key: str
    effect: Effect | None
    scope: str
    is_searched: bool
    is_id: bool


class _Findings(NamedTuple):
    """Of one row: texts to search and ids to compare, each with its place; what was masked."""

    texts: list[tuple[Any, Any, str]]
    ids: list[tuple[Any, Any, str, str]]
    people: dict[str, str]


class PersonalData:
    """Masks people in rows as Sentry sends them, by MASKED; safe to use from many threads.

    The id of a user stays, since it joins a row to the team's own tables, unless it is itself an
    e-mail or IP address or the same as the username or name. What is masked in a field is masked
    wherever it stands as a word in the same row, whatever its case and URL encoding, and so are
    the Gravatar hashes of e-mail addresses; names of fewer than three letters only in their
    fields. E-mail and IP addresses are masked in all texts and keys but those of FACTS. The name
    of somebody of whom the row has no field stays, as in the title of an alert.
    A place is told to the country (`geo.country_code` and `geo.region`, which is its name).
    https://develop.sentry.dev/sdk/event-payloads/user/
    """

    def __init__(self, hash_key: bytes | None) -> None:
        self._hash_key = hash_key
        self._mask = lru_cache(10_000)(self._new_mask)
        self._field = lru_cache(10_000)(self._new_field)

    @classmethod
    def of(cls, mode: str, key: str | None) -> PersonalData | None:
        """For `mask_pii` keep, hash or drop; None for keep, where there is nothing to do.

        Args:
            mode: hash gives HMAC-SHA256 as 32 hexadecimal digits, e-mail addresses lower-cased
                first: the same person in every stream and run with the same key.
            key: `pii_hash_key`; only hash needs it.

        Raises:
            SettingsError: If hash has no key, or the mode is another.
        """
        if mode == "keep":
            return None
        if mode == "drop":
            return cls(None)
        if mode != "hash":
            raise SettingsError(f"mask_pii is {mode!r}. Choose keep, hash or drop.")
        if not key:
            raise SettingsError(
                "mask_pii is hash, but pii_hash_key is not set. Set it to a long random text, "
                "and keep it: another key gives other hashes."
            )
        return cls(key.encode("utf-8", "surrogatepass"))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A masked copy of the row."""
        findings = _Findings([], [], {})
        copy: list[dict[str, Any]] = [{}]
        self._fill(copy, 0, row, self._field(ANYWHERE, ""), findings)
        self._search(findings)
        for place, key, prefix, value in findings.ids:
            if (person := findings.people.get(value.strip().lower())) is not None:
                place[key] = prefix + self._mask(person) if prefix else self._masked(person)
        return copy[0]

    def _fill(self, place: Any, key: Any, value: Any, field: _Field, findings: _Findings) -> None:
        """Put a masked copy of the value into its place, a new object or list."""
        if isinstance(value, str):
            self._fill_text(place, key, value, field, findings)
        elif not isinstance(value, (dict, list)):
            place[key] = value
        elif field.effect is DROPPED and value:
            place[key] = None
        elif isinstance(value, dict):
            place[key] = self._object(value, _scope(value, field.scope), findings)
        else:
            place[key] = items = [None] * len(value)
            for number, item in enumerate(value):
                self._fill(items, number, item, field, findings)

    def _object(self, value: dict[str, Any], scope: str, findings: _Findings) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        tag = value.get("key") if "value" in value else None
        fields, texts = self._field, findings.texts
        for name, entry in value.items():
            if name in _TAG and isinstance(tag, str):
                field = fields(scope, name, tag)
            else:
                field = fields(scope, name)
            # Most of a row; a call for each would take half of the time.
            if field.effect is None and not field.is_id and isinstance(entry, str):
                copy[field.key] = entry
                if field.is_searched:
                    texts.append((copy, field.key, entry))
            else:
                self._fill(copy, field.key, entry, field, findings)
        return copy

    def _fill_text(
        self, place: Any, key: Any, value: str, field: _Field, findings: _Findings
    ) -> None:
        effect = field.effect
        if field.is_id and is_address_alone(value):
            effect = HASHED
        if effect is DROPPED and value:
            place[key] = None
            return
        if effect is None or effect is CUT:
            place[key] = value if effect is None else _QUERY.sub(rf"\1{REMOVED}", value)
            if field.is_searched:
                findings.texts.append((place, key, place[key]))
            if field.is_id:
                findings.ids.append((place, key, "", value))
            return
        name, colon, rest = value.partition(":")
        prefix = name + colon
        if effect is not AFTER_COLON or prefix.lower() not in _USER_PREFIXES:
            prefix, rest = "", value
        if effect is AFTER_COLON and (
            (prefix.lower() in _OPAQUE_PREFIXES and not is_address_alone(rest))
            or _OPAQUE.fullmatch(rest)
        ):
            place[key] = value
            findings.texts.append((place, key, value))
            findings.ids.append((place, key, prefix, rest))
        elif not rest.strip() or rest in _NOBODY:
            place[key] = value
        else:
            place[key] = prefix + self._mask(rest) if prefix else self._masked(rest)
            findings.people[rest.strip().lower()] = rest

    def _search(self, findings: _Findings) -> None:
        """Mask what was found in fields, and all addresses, in the other texts of the row."""
        whole = "\n".join([text for _, _, text in findings.texts])
        lowered = whole.lower()
        spellings = {
            spelling: value
            for value in findings.people.values()
            for spelling in _spellings(value)
            if spelling.lower() in lowered
        }
        known = {spelling.lower(): value for spelling, value in spellings.items()}
        if not known and not MAYBE_ADDRESS.search(whole):
            return
        # Addresses first: jo.smith@example.com is not the name Smith with something around it.
        addresses = tuple(text for text in spellings if is_address(spellings[text]))
        names = tuple(text for text in spellings if text not in addresses)

        def mask(match: re.Match[str]) -> str:
            value = known.get(match[0].lower())
            return REMOVED if value is None else self._mask(value)

        for place, key, text in findings.texts:
            rest = _any_of(addresses).sub(mask, text) if addresses else text
            rest = without_addresses(rest, self._mask)
            place[key] = _any_of(names).sub(mask, rest) if names else rest

    def _masked(self, value: str) -> str | None:
        return None if self._hash_key is None else self._mask(value)

    def _new_mask(self, value: str) -> str:
        if self._hash_key is None:
            return REMOVED
        text = normalised(value).encode("utf-8", "surrogatepass")
        return hmac.digest(self._hash_key, text, "sha256").hex()[:32]

    def _new_field(self, scope: str, name: str, tag: str | None = None) -> _Field:
        """The meaning of a key; of `key` and `value` where they are the name of a tag and its."""
        if name == "key" and tag is not None:
            return _Field(
                name, None, ANYWHERE, without_addresses(tag, self._mask) != tag, is_id=False
            )
        plain = _plain(name if tag is None else tag)
        if plain.startswith("tags["):
            plain = plain[5:].rstrip("]").partition(",")[0]
        effect = _EFFECTS.get((scope, plain)) or _EFFECTS.get((ANYWHERE, plain))
        if effect is None and plain.startswith(_PREFIXES):
            effect = DROPPED
        below = _SCOPES.get(plain, IN_FACTS if scope == IN_FACTS else ANYWHERE)
        if scope == IN_REQUEST_ENTRY and plain == "data":
            below = IN_REQUEST
        is_id = plain in _ID_NAMES or (scope == IN_PERSON and plain == "id")
        is_fact = scope == IN_FACTS or plain in _FACTS or plain.startswith("date")
        key = name if scope == IN_FACTS else without_addresses(name, self._mask)
        return _Field(key, effect, below, is_id or not is_fact, is_id)


def _scope(value: dict[str, Any], scope: str) -> str:
    """Where the entries of an object are, given what its name says."""
    if scope == IN_PERSON:
        return ANYWHERE if value.get("type") in NO_PERSON_TYPES else IN_PERSON
    # The second is the receiver of an alert.
    if not PERSON_MARKS.isdisjoint(value) or value.get("targetType") == "user":
        return IN_PERSON
    return IN_REQUEST_ENTRY if value.get("type") == "request" else scope


@lru_cache(10_000)
def _spellings(value: str) -> tuple[str, ...]:
    """How a masked value may stand in a text: as it is, in a URL, in JSON, as a Gravatar hash."""
    value = value.strip()
    if not is_address(value) and sum(map(str.isalpha, value)) < _SHORTEST_NAME_LETTERS:
        return ()
    raw = value.encode("utf-8", "surrogatepass")
    spellings = {value, quote(raw, safe=""), quote_plus(raw), json.dumps(value)[1:-1]}
    if "@" in value:
        raw = value.lower().encode("utf-8", "surrogatepass")
        # https://docs.gravatar.com/api/avatars/hash/ and MD5 before 2024
        spellings.update((hashlib.sha256(raw).hexdigest(), hashlib.md5(raw).hexdigest()))  # noqa: S324
    return tuple(spellings)


@lru_cache(1000)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Finds one of the texts, as words of their own, the longest that fits."""
    return re.compile(
        "|".join(
            (r"(?:(?<![A-Za-z\d])|(?<=%[\da-fA-F]{2}))" if _is_latin(word[0]) else "")
            + re.escape(word)
            + (r"(?![A-Za-z\d])" if _is_latin(word[-1]) else "")
            for word in sorted(words, key=len, reverse=True)
        ),
        re.IGNORECASE,
    )


def _is_latin(character: str) -> bool:
    # Other scripts need not set words apart.
    return character.isascii() and character.isalnum()
