"""Run ledger: what plain `meltano run` and dbt leave behind, in one SQLite file.

Runs only append to log files; this reads them afterwards, so nothing here can slow or fail a run.

- `files` gives new whole lines of logs that grow, turn over and break.
- `meltano` reads Meltano's log, `dbt` dbt's event log and artifacts.
- `collect` does both in one transaction and ends runs whose process is gone (`processes`).
- `model` has the nouns, a class per table; `store` the file; `migrations` its schema.
- `queries` answers; `pruning` forgets; `identity` names traces and spans.
"""

FILE = "ledger.db"  # in the folder `output`
