"""dbt Cloud as a source of runs: what its APIs tell becomes rows of a ledger of its own.

- `settings` come from the environment only; `client` asks, waits and tries again; `answers` are the
  shapes of what comes back.
- `listing` finds the runs of a window, `artifacts` downloads what their steps left, `runs` turns
  all that into rows.
- `jobs` keeps the definitions of jobs beside the ledger; `discovery` asks what was reused.
- `fetching` does it all, `connection` tells whether it can be done.

https://docs.getdbt.com/docs/dbt-apis/overview
"""
