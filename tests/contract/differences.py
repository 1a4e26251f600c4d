"""Where our columns differ from Sentry's document, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

LEFT_OUT = "left out"  # the document has the field, we do not
SENT = "sent"  # neither has it, Sentry's answers do
ADDED = "added"  # we have the field, the document does not
TYPE = "type"
NULL = "null"  # the document says it may be null, we say it may not


class Difference(NamedTuple):
    """Why some fields of a stream differ from the document in one way."""

    stream: str
    way: str
    fields: tuple[str, ...]
    reason: str


DIFFERENCES = (
    Difference(
        "projects",
        LEFT_OUT,
        ("sessionStats", "stats", "transactionStats"),
        "only sent when asked for by statsPeriod, and events and spans count better",
    ),
    Difference("projects", SENT, ("eventProcessing",), "a passing state of Sentry's processing"),
    Difference(
        "projects",
        SENT,
        ("hasInsightsLlmMonitoring",),
        "renamed to hasInsightsAgentMonitoring since",
    ),
    Difference(
        "organization", ADDED, ("safeFields", "sensitiveFields"), "sent as in project_detail"
    ),
    Difference("organization", SENT, ("role", "orgRole"), "of the token's own user"),
    Difference(
        "project_detail",
        LEFT_OUT,
        ("sessionStats", "stats", "transactionStats"),
        "only sent when asked for by statsPeriod, and events and spans count better",
    ),
    Difference(
        "project_detail", SENT, ("hasAlertIntegrationInstalled",), "only sent when expanded"
    ),
    Difference("project_detail", SENT, ("plugins",), "retired; their settings hold passwords"),
    Difference("project_detail", LEFT_OUT, ("securityToken",), "a secret"),
    Difference(
        "project_detail",
        LEFT_OUT,
        ("securityTokenHeader",),
        "where the secret is sent; of no use without it",
    ),
    Difference(
        "project_detail",
        TYPE,
        ("seerNightshiftTweaks",),
        "the document does not say; its example is an object",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        ("filtered", "stats"),
        "the request collapses them, which makes pages much cheaper",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        (
            "inbox",
            "integrationIssues",
            "latestEventHasAttachments",
            "owners",
            "sentryAppIssues",
            "sessionCount",
        ),
        "only sent when the request expands them",
    ),
    Difference(
        "issues",
        LEFT_OUT,
        ("matchingEventEnvironment", "matchingEventId"),
        "only sent for a search that hits one event directly",
    ),
    Difference(
        "events",
        LEFT_OUT,
        (
            "nextEventID",
            "previousEventID",
            "release",
            "resolvedWith",
            "sdkUpdates",
            "userReport",
        ),
        "only in the body of one event asked for alone, never in a listing, full=true or not",
    ),
    Difference("events", SENT, ("datetime",), "dateCreated again"),
    Difference("events", LEFT_OUT, ("type",), "goes into `event.type`, the listing's name for it"),
    Difference("events", ADDED, ("sample_weight",), "made by the tap"),
    Difference(
        "spans",
        ADDED,
        (
            "environment",
            "http.response_status_code",
            "id",
            "is_transaction",
            "parent_span",
            "precise.start_ts",
            "project.id",
            "received",
            "release",
            "sampling_rate",
            "span.description",
            "span.duration",
            "span.op",
            "span.self_time",
            "span.status",
            "timestamp",
            "trace",
            "transaction",
            "transaction.span_id",
            "user.id",
        ),
        "a row of Explore holds what `field` asks for; the document leaves its columns open",
    ),
    Difference(
        "spans", SENT, ("project", "project.name"), "the slug; for the id it is not sent any more"
    ),
    Difference("spans", ADDED, ("sample_weight",), "made by the tap"),
    Difference("spans", ADDED, ("attributes",), "what the setting span_attributes asks for"),
    Difference("spans", ADDED, ("dataScanned",), "from beside the rows, where the document has it"),
    Difference("issues", ADDED, ("fullPassAt",), "made by the tap"),
    Difference("release", ADDED, ("changedAt",), "made by the tap, its replication key"),
    Difference("environments", ADDED, ("isHidden",), "from asking for visible ones as well"),
    Difference("project_keys", LEFT_OUT, ("secret",), "a secret"),
    Difference("project_keys", LEFT_OUT, ("browserSdk",), "the choices of a form, always the same"),
    Difference(
        "issue_detail",
        LEFT_OUT,
        (
            "forecast",
            "inbox",
            "integrationIssues",
            "latestEventHasAttachments",
            "owners",
            "sentryAppIssues",
        ),
        "only sent when the request expands them",
    ),
    Difference("issue_detail", LEFT_OUT, ("stats",), "the request collapses them"),
    Difference("issue_detail", ADDED, ("openPeriods",), "sent, and not to be had elsewhere"),
    Difference(
        "issue_detail",
        SENT,
        ("pluginActions", "pluginContexts", "pluginIssues"),
        "of the plugins that Sentry has retired",
    ),
    Difference("release_commits", ADDED, ("version", "changedAt"), "the release's"),
    Difference("release_commits", TYPE, ("author",), "the document does not say; it is an object"),
    Difference("release_deploys", ADDED, ("version", "changedAt"), "the release's"),
    Difference(
        "monitors", LEFT_OUT, ("alertRule",), "only in the answer for one monitor, when expanded"
    ),
    Difference(
        "monitors", SENT, ("lastCheckIn", "nextCheckIn"), "the newest and next of `environments`"
    ),
    Difference("monitors", TYPE, ("environments",), "said to be an object, sent as an array"),
    Difference("monitor_checkins", ADDED, ("monitorId", "monitorSlug"), "the monitor's"),
    Difference("monitor_checkins", TYPE, ("duration",), "said to be an integer, sent as a number"),
    Difference(
        "usage_outcomes",
        ADDED,
        ("project", "category", "outcome", "reason", "timestamp", "quantity", "times_seen"),
        "what a group is by, and a value of its series",
    ),
    Difference(
        "release_health",
        ADDED,
        (
            "project",
            "release",
            "environment",
            "timestamp",
            "sessions",
            "users",
            "crash_free_session_rate",
            "crash_free_user_rate",
        ),
        "what a group is by, and a value of its series",
    ),
    Difference("usage_outcomes", ADDED, ("id",), "made by the tap"),
    Difference("release_health", ADDED, ("id",), "made by the tap"),
    Difference(
        "replays",
        LEFT_OUT,
        ("clicks", "segment_names"),
        "large, and of use beside the recording only",
    ),
    Difference(
        "replays",
        LEFT_OUT,
        ("ota_updates", "replay_type"),
        "not among the fields that the document lets one ask for",
    ),
    Difference("replays", TYPE, ("tags",), "an object, or an empty array if there are none"),
    Difference(
        "replays", TYPE, ("started_at", "finished_at"), "date-times, though said to be strings"
    ),
    Difference("replays", NULL, ("id",), "never missing: it is asked for"),
    Difference("user_feedback", ADDED, ("projectId",), "the project's"),
    Difference("user_feedback", TYPE, ("dateCreated",), "a date-time, though said to be a string"),
)
