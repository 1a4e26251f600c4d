"""Launcher of dbt: what `meltano run ... dbt` needs around the plain command.

- No arguments mean `build`; every other command goes to dbt as it is.
- Paths have defaults (`paths`), so that profiles.yml reads one variable, DBT_WAREHOUSE_PATH (for
  the target `sample`, which is never published, DBT_SAMPLE_PATH).
- The console gets one line per stored model (`console`), dbt's own JSON event log goes to a file.
- Artifacts of each invocation are kept (`archive`).
- A build may leave out what need not be built (`planning`, `reusing`; the proof: ../reuse).
- After a build of the whole project without failure, readers get a new copy (`publication`):
  DuckDB lets no reader in while dbt writes. Then a table says what there is (`summary`).
"""
