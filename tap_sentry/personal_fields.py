"""Which fields of Sentry's rows hold personal data, and what becomes of each. Data only.

https://develop.sentry.dev/sdk/event-payloads/user/
"""

from __future__ import annotations

from typing import NamedTuple


class Effect(NamedTuple):
    """What becomes of a text in a masked field, by `mask_pii`."""

    hash: str
    drop: str


HASHED = Effect("keyed hash", "null")
AFTER_COLON = Effect("keyed hash after the colon", "`[removed]` after the colon")
DROPPED = Effect("null", "null")
CUT = Effect("`[removed]` after ? or #", "`[removed]` after ? or #")

ANYWHERE = "anywhere"
IN_PERSON = "in a person"
IN_REQUEST = "in a request or response"
IN_DEVICE = "in a device"
IN_PLACE = "in geo"
# No field of MASKED is there: the entry around the request, and objects that hold only facts.
IN_REQUEST_ENTRY = "in the request entry of an event"
IN_FACTS = "in an object that holds only facts"


class MaskedField(NamedTuple):
    """Fields with personal data. Case, _ and - in their names do not count; * is any ending.

    Tags and `tags[...]` columns with such a name count as well.
    """

    kind: str
    names: tuple[str, ...]
    where: str
    effect: Effect


MASKED = (
    MaskedField("email", ("email", "emails", "user.email", "assigneeEmail", "enduser.email"),
                ANYWHERE, HASHED),
    MaskedField("ip_address", ("ip_address", "ip", "user.ip", "user.ip_address", "client.address",
                "http.client_ip", "remote_addr"), ANYWHERE, HASHED),
    MaskedField("username", ("username", "user.username", "externalName"), ANYWHERE, HASHED),
    MaskedField("name", ("user.name", "user.full_name", "user.display_name", "inviterName",
                "assigneeName", "authorName"), ANYWHERE, HASHED),
    MaskedField("name", ("name", "display_name", "first_name", "last_name", "full_name",
                "targetDisplay"),
                IN_PERSON, HASHED),
    MaskedField("device_name", ("device.name",), ANYWHERE, HASHED),
    MaskedField("device_name", ("name",), IN_DEVICE, HASHED),
    MaskedField("user", ("user", "tagValue", "author", "authors", "assignedTo", "assignee",
                "actor", "inviter", "createdBy", "creator", "reporter", "commenter", "seenBy",
                "participants"), ANYWHERE, AFTER_COLON),
    MaskedField("user_data", ("data",), IN_PERSON, DROPPED),
    MaskedField("picture", ("avatar", "avatarUrl"), IN_PERSON, DROPPED),
    MaskedField("place", ("city", "subdivision", "postal_code"), IN_PLACE, DROPPED),
    MaskedField("place", ("user.geo.city", "user.geo.subdivision", "geo.city", "geo.subdivision"),
                ANYWHERE, DROPPED),
    MaskedField("request_body", ("data", "body"), IN_REQUEST, DROPPED),
    MaskedField("request_body", ("request_body", "response_body", "http.request.body*",
                "http.response.body*"), ANYWHERE, DROPPED),
    MaskedField("headers", ("headers", "request_headers", "response_headers", "cookies", "cookie",
                "http.request.header*", "http.response.header*", "http.request.cookie*"),
                ANYWHERE, DROPPED),
    MaskedField("query_string", ("query", "fragment"), IN_REQUEST, DROPPED),
    MaskedField("query_string", ("query_string", "http.query", "http.fragment", "url.query",
                "url.fragment"), ANYWHERE, DROPPED),
    MaskedField("query_string", ("url", "urls", "http.url", "url.full", "http.target", "referrer",
                "document_uri"), ANYWHERE, CUT),
    MaskedField("environment_variables", ("env",), IN_REQUEST, DROPPED),
    MaskedField("local_variables", ("vars",), ANYWHERE, DROPPED),
)  # fmt: skip

# What objects under these names describe. Objects with one of PERSON_MARKS are people anywhere.
OBJECTS = {
    IN_PERSON: ("user", "users", "author", "authors", "assignedTo", "assignee", "owner", "owners",
                "actor", "seenBy", "participants", "inviter", "createdBy", "creator", "reporter",
                "commenter", "reviewers"),
    IN_REQUEST: ("request", "response"),
    IN_DEVICE: ("device",),
    IN_PLACE: ("geo",),
    IN_FACTS: ("project", "projects", "team", "teams", "organization", "sdk", "browser", "os",
                "client_os", "runtime", "packages", "modules", "dsn", "versionInfo",
                "groupingConfig"),
}  # fmt: skip
PERSON_MARKS = frozenset({"email", "emails", "username", "ip_address", "ipAddress"})
# An owner or assignee may be a team, which is no person.
NO_PERSON_TYPES = ("team", "project")
IDS = ("user.id", "user_id")

# Texts that are never searched for what was masked elsewhere: a version 1.2.3.4 is no address,
# and an environment stays when a username happens to be the same word. So with date... names.
FACTS = (
    "eventID", "groupID", "projectID", "project.id", "trace", "trace_id", "trace_ids",
    "error_ids", "span_id", "parent_span", "parent_span_id", "transaction.span_id",
    "transaction.event_id", "replay.id", "replayId", "profile.id", "shortId", "slug",
    "fingerprints", "release", "releases", "version", "shortVersion", "dist", "sdk.name",
    "sdk.version", "browser", "browser.name", "browser.version", "os", "os.name", "os.version",
    "os.build", "runtime", "runtime.name", "runtime.version", "client_os", "device",
    "device.family", "device.model", "device.brand", "family", "model", "model_id", "brand",
    "app_version", "kernel_version", "platform", "platforms", "level", "type", "event.type",
    "issueType", "issueCategory", "status", "substatus", "priority", "environment",
    "environments", "project", "project.name", "project.slug", "category", "op", "span.op",
    "span.status", "span.category", "method", "timestamp", "precise.start_ts", "received",
    "firstSeen", "lastSeen", "firstEvent", "lastEvent", "lastLogin", "lastActive", "started_at",
    "finished_at", "features", "access", "country_code", "region",
)  # fmt: skip
