"""Organization, projects, teams and members as Sentry serializes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from tap_sentry.demo import catalogue, releases
from tap_sentry.demo.catalogue import Project, Team
from tap_sentry.demo.dates import microseconds
from tap_sentry.demo.people import MEMBERS, Member
from tap_sentry.demo.timeline import DAY_S

Row = dict[str, Any]

_FOUNDED = 1_555_000_000.5
_ACCESS = ["alerts:read", "event:read", "member:read", "org:read", "project:read",
           "project:releases", "team:read"]  # fmt: skip
_AVATAR = {"avatarType": "letter_avatar", "avatarUuid": None, "avatarUrl": None}


def secret(name: str) -> str:
    """Something that looks like a credential and opens nothing."""
    return hashlib.md5(f"demo/{name}".encode()).hexdigest()


def organization(base: str) -> Row:
    return {
        "id": catalogue.ORGANIZATION_ID,
        "slug": catalogue.ORGANIZATION_SLUG,
        "name": catalogue.ORGANIZATION_NAME,
        "status": {"id": "active", "name": "active"},
        "dateCreated": microseconds(_FOUNDED),
        "isEarlyAdopter": False,
        "require2FA": False,
        "avatar": dict(_AVATAR),
        "links": {
            "organizationUrl": f"{base}/{catalogue.ORGANIZATION_SLUG}",
            "regionUrl": base,
        },
        "hasAuthProvider": False,
        "allowMemberInvite": True,
        "allowMemberProjectCreation": True,
        "allowSuperuserAccess": False,
        "features": ["discover-basic", "performance-view", "visibility-explore-view"],
    }


def organization_detail(base: str) -> Row:
    return {
        **organization(base),
        "access": list(_ACCESS),
        "onboardingTasks": [],
        "extraOptions": {"traces": {"sampleRate": 1.0}},
        "safeFields": [],
        "sensitiveFields": [],
        "role": "member",
        "orgRole": "member",
    }


def _team_reference(slug: str) -> Row:
    team = next(team for team in catalogue.TEAMS if team.slug == slug)
    return {"id": team.id, "name": team.name, "slug": team.slug}


def created(project: Project) -> float:
    return _FOUNDED + int(project.id[-4:]) * 3600 + 20


def _project(project: Project) -> Row:
    """What the list, the detail and a team's projects have in common."""
    born = created(project)
    shop = project in catalogue.PROJECTS
    return {
        "id": project.id,
        "slug": project.slug,
        "name": project.name,
        "platform": project.platform,
        "dateCreated": microseconds(born),
        "isBookmarked": False,
        "isMember": project.is_member,
        "features": ["alert-filters", "discard-groups", "releases"],
        "firstEvent": microseconds(born + DAY_S),
        "firstTransactionEvent": True,
        "access": list(_ACCESS),
        "hasAccess": True,
        "hasFeedbacks": any(project.slug == slug for slug, _ in catalogue.FEEDBACK),
        "hasNewFeedbacks": any(project.slug == slug for slug, _ in catalogue.FEEDBACK),
        "hasFlags": False,
        "hasMinifiedStackTrace": project.slug == "storefront",
        "hasMonitors": project.slug in {"batch-worker", "checkout-api"},
        "hasProfiles": False,
        "hasReplays": project.slug == "storefront",
        "hasSessions": project.slug in catalogue.WITH_SESSIONS,
        "hasInsightsHttp": shop,
        "hasInsightsDb": shop,
        "hasInsightsAssets": project.slug == "storefront",
        "hasInsightsAppStart": project.slug == "mobile-app",
        "hasInsightsScreenLoad": project.slug == "mobile-app",
        "hasInsightsVitals": project.slug == "storefront",
        "hasInsightsCaches": shop,
        "hasInsightsQueues": project.slug == "batch-worker",
        "hasInsightsAgentMonitoring": False,
        "hasInsightsMCP": False,
        "hasLogs": False,
        "hasTraceMetrics": False,
    }


def nested_project(project: Project) -> Row:
    """A project inside a team or a monitor."""
    return {
        **_project(project),
        "isInternal": False,
        "isPublic": False,
        "avatar": dict(_AVATAR),
        "color": f"#{secret(project.id)[:6]}",
        "status": "active",
    }


def _latest_release(project: Project, now: float) -> Row | None:
    running = releases.running(project.slug, now)
    return {"version": running.version} if running else None


def _owners(project: Project) -> Row:
    return {"team": _team_reference(project.team), "teams": [_team_reference(project.team)]}


def project_summary(project: Project, now: float) -> Row:
    return {
        **_project(project),
        **_owners(project),
        "platforms": [catalogue.family(project.platform)],
        "hasUserReports": False,
        "environments": list(catalogue.ENVIRONMENTS),
        "eventProcessing": {"symbolicationDegraded": False},
        "latestRelease": _latest_release(project, now),
        "latestDeploys": None,
    }


def project_detail(project: Project, now: float, base: str) -> Row:
    """One project with all its settings, secrets included as the real one does."""
    token = secret(project.slug)
    return {
        **_project(project),
        **_owners(project),
        "isInternal": False,
        "isPublic": False,
        "avatar": dict(_AVATAR),
        "color": f"#{secret(project.id)[:6]}",
        "status": "active",
        "latestRelease": _latest_release(project, now),
        "options": {
            "sentry:token": token,
            "sentry:resolve_age": 0,
            "sentry:scrub_data": True,
            "sentry:grouping_config": "newstyle:2023-01-11",
            "sentry:origins": ["*.example.com"],
            "mail:subject_prefix": "[Acme] ",
            "digests:mail:minimum_delay": 300,
            "filters:chunk-load-error": True,
            "feedback:branding": False,
        },
        "digestsMinDelay": 300,
        "digestsMaxDelay": 1800,
        "subjectPrefix": "[Acme] ",
        "subjectTemplate": "$shortID - $title",
        "allowedDomains": ["*.example.com"],
        "resolveAge": 0,
        "dataScrubber": True,
        "dataScrubberDefaults": True,
        "safeFields": [],
        "sensitiveFields": ["iban"],
        "storeCrashReports": None,
        "securityToken": token,
        "securityTokenHeader": None,
        "verifySSL": False,
        "scrubIPAddresses": True,
        "scrapeJavaScript": True,
        "enableAutoReleaseCreation": True,
        "highlightTags": ["release", "environment"],
        "highlightContext": {},
        "highlightPreset": {"tags": [], "context": {}},
        "groupingConfig": "newstyle:2023-01-11",
        "groupingEnhancements": "",
        "derivedGroupingEnhancements": "",
        "secondaryGroupingConfig": None,
        "secondaryGroupingExpiry": 0,
        "fingerprintingRules": "",
        "organization": organization(base),
        "platforms": [catalogue.family(project.platform)],
        "processingIssues": 0,
        "defaultEnvironment": "production",
        "relayPiiConfig": '{"rules":{"0":{"type":"email","redaction":{"method":"mask"}}}}',
        "builtinSymbolSources": ["ios", "android"],
        "dynamicSamplingBiases": [{"id": "boostLatestRelease", "active": True}],
        "symbolSources": "[]",
        "isDynamicallySampled": True,
        "tempestFetchScreenshots": False,
        "autofixAutomationTuning": "off",
        "seerScannerAutomation": False,
        "seerNightshiftTweaks": None,
        "scmSourceContextEnabled": False,
        "debugFilesRole": None,
        "plugins": [
            {"id": "webhooks", "slug": "webhooks", "name": "WebHooks", "enabled": False},
        ],
        "hasAlertIntegrationInstalled": False,
    }


def team(team: Team, projects: Sequence[Project], *, detailed: bool) -> Row:
    row: Row = {
        "id": team.id,
        "slug": team.slug,
        "name": team.name,
        "dateCreated": microseconds(_FOUNDED + int(team.id[-2:]) * 86_400),
        "isMember": team.slug != "storefront",
        "teamRole": "contributor" if team.slug != "storefront" else None,
        "flags": {"idp:provisioned": False},
        "access": list(_ACCESS),
        "hasAccess": True,
        "isPending": False,
        "memberCount": sum(team.slug in m.teams for m in MEMBERS if m.state == "active"),
        "avatar": dict(_AVATAR),
    }
    if detailed:
        row["externalTeams"] = []
        row["projects"] = [nested_project(p) for p in projects if p.team == team.slug]
    return row


def _joined(member: Member) -> float:
    return _FOUNDED + (int(member.id) - 20_000) * 40_000 + 0.125


def user(member: Member, now: float) -> Row:
    """The account behind a seat."""
    number = int(member.id)
    active = now - 3600 * (1 + number * 7 % 60)
    return {
        "id": member.user_id,
        "name": member.name,
        "username": member.email,
        "email": member.email,
        "avatarUrl": f"https://gravatar.com/avatar/{secret(member.email)}?s=32&d=mm",
        "isActive": True,
        "isSuspended": False,
        "hasPasswordAuth": True,
        "isManaged": False,
        "dateJoined": microseconds(_joined(member)),
        "lastLogin": microseconds(active - active % DAY_S) if number % 5 else None,
        "has2fa": number % 4 != 0,
        "lastActive": microseconds(active - active % 3600),
        "isSuperuser": False,
        "isStaff": False,
        "experiments": {},
        "emails": [
            {"id": str(number + 900_000), "email": member.email, "is_verified": True},
        ],
        "avatar": dict(_AVATAR),
    }


def member(member: Member, now: float) -> Row:
    """A seat; invitations that nobody took up yet have no user."""
    active = member.state == "active"
    return {
        "id": member.id,
        "email": member.email,
        "name": member.name if active else member.email,
        "user": user(member, now) if active else None,
        "orgRole": member.role,
        "pending": not active,
        "expired": member.state == "expired",
        "flags": {
            "idp:provisioned": False,
            "idp:role-restricted": False,
            "sso:linked": False,
            "sso:invalid": False,
            "member-limit:restricted": False,
            "partnership:restricted": False,
        },
        "dateCreated": microseconds(_joined(member) - 7200),
        "inviteStatus": "approved",
        "inviterName": MEMBERS[0].email if member is not MEMBERS[0] else None,
    }


def environments() -> list[Row]:
    return [
        {"id": str(301 + number), "name": name}
        for number, name in enumerate(catalogue.ENVIRONMENTS)
    ]
