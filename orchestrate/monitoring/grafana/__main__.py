"""Write dashboards/*.json: python -m orchestrate.monitoring.grafana"""

from __future__ import annotations

from pathlib import Path

from orchestrate.monitoring.grafana import business, dbt, overview, system, tap
from orchestrate.monitoring.grafana.building import text

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = tuple(module.DASHBOARD for module in (overview, tap, dbt, system, business))


def main() -> None:
    for dashboard in DASHBOARDS:
        path = FOLDER / f"{dashboard.name}.json"
        path.write_text(text(dashboard), encoding="utf-8")
        print(f"wrote {path.name}")  # noqa: T201


if __name__ == "__main__":
    main()
