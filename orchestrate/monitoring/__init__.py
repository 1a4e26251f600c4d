"""From the ledger and the published marts to Prometheus: metrics, rules, dashboards.

`model` has the nouns. `runs`, `extraction`, `dbt` ask the ledger, `marts` and `business` the
published copy of the warehouse, each a list of queries; `from_ledger` and `from_warehouse` run
them, `schedules` looks at meltano.yml, `gathering` puts all together. `exposition` writes what came
of it to a file, `server` and `push` hand it on, `history` does so for the past. `stack` starts
Prometheus and its like here, out of `prometheus/` and `alerts/`; `grafana/` and `logs/` are for
those who have such servers.
"""

# Every metric's name begins so.
PREFIX = "tap_sentry_"
