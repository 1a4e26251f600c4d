"""Where Sentry's document is wrong about what one may ask, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

_PAGINATED = "left out, although the list is paginated like the others"


class Defect(NamedTuple):
    """Something the tap does against the document, since there the document is wrong."""

    path: str
    parameter: str
    reason: str


# Typed as one text, so that Prism refuses several. It is asked again with the first; so the sync
# goes on.
VIOLATIONS = (
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "sort",
        "the server takes several, and spans need two for a total order",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/stats_v2/",
        "field",
        "the server takes several, as it does for /sessions/",
    ),
)

# Prism lets unknown parameters pass; the document leaves these out, the server knows them.
UNDECLARED = (
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "disableAggregateExtrapolation",
        "declared for the time series only",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/events/",
        "sampling",
        "left out; the web interface sends it, and so full accuracy can be asked for",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/events-timeseries/",
        "sampling",
        "left out; counts have to be as accurate as the rows they plan for",
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/releases/",
        "status",
        "left out; without it archived releases are missing",
    ),
    *(
        Defect(f"/organizations/{{organization_id_or_slug}}/{path}/", "per_page", _PAGINATED)
        for path in (
            "detectors",
            "members",
            "monitors",
            "monitors/{monitor_id_or_slug}/checkins",
            "project-keys",
            "releases/{version}/commits",
            "releases/{version}/deploys",
            "workflows",
        )
    ),
    *(
        Defect(
            f"/projects/{{organization_id_or_slug}}/{{project_id_or_slug}}/{path}/",
            "per_page",
            _PAGINATED,
        )
        for path in ("events", "user-feedback")
    ),
    Defect(
        "/organizations/{organization_id_or_slug}/monitors/",
        "sort",
        "left out; the order without it changes while one pages",
    ),
    *(
        Defect(
            "/organizations/{organization_id_or_slug}/monitors/{monitor_id_or_slug}/checkins/",
            name,
            "left out; without it the newest 90 days come each time",
        )
        for name in ("start", "end")
    ),
    Defect(
        "/projects/{organization_id_or_slug}/{project_id_or_slug}/user-feedback/",
        "status",
        "left out; without it reports of resolved issues are missing",
    ),
)


def refused_in_vain(path: str) -> set[str]:
    """Parameters of an endpoint that the document forbids by mistake."""
    return {defect.parameter for defect in VIOLATIONS if defect.path == path}
