"""How many rows of each stream there are to get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_sentry.demo import alert_rows, catalogue, project_keys
from tap_sentry.demo.people import MEMBERS

if TYPE_CHECKING:
    from tap_sentry.demo.world import World


def rows_per_stream(world: World, start: float) -> dict[str, int]:
    """Rows by stream, of `start` (epoch seconds) or later where a row has a time; see `World`."""
    projects = world.projects()
    created = [release for release in world.releases() if release.created >= start]
    listed = sum(int(seen.last_seen) >= start for seen in world.issues())
    check_ins = [run for monitor in world.monitors() for run in world.check_ins(monitor)]
    return {
        "organization": 1,
        "environments": len(catalogue.ENVIRONMENTS),
        "projects": len(projects),
        "project_detail": len(projects),
        "project_keys": len(project_keys.project_keys(projects)),
        "issues": listed,
        "issue_detail": listed,
        "events": sum(int(event.timestamp) >= start for event in world.events()),
        "spans": sum(int(span.timestamp) >= start for span in world.spans()),
        "teams": len(catalogue.TEAMS),
        "users": len(MEMBERS),
        "releases": len(created),
        "release": len(created),
        "release_commits": sum(len(release.commits) for release in created),
        "release_deploys": sum(
            finished <= world.now for release in created for _, finished in release.deploys
        ),
        "monitors": len(world.monitors()),
        "monitor_checkins": sum(run.added >= start for run in check_ins),
        "detectors": len(alert_rows.detectors(projects, {})),
        "workflows": len(alert_rows.workflows(projects, None)),
        "replays": sum(replay.timestamp >= start for replay in world.replays()),
        "user_feedback": sum(report.written >= start for report in world.user_reports()),
    }
