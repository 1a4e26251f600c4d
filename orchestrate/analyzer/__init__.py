"""Run analyzer: where time, freshness and money go, from the ledger of runs.

- `choice` is all that a person may choose: on the command line, in the address, in the sidebar.
- `loading` reads a ledger into a `history`, whose columns are in `frames`; `sources` tells which
  ledgers there are, `classes` what became of a node, `planner` whether a run planned reuse.
- `reports` turn history and choice into numbers, sentences and tables: one package a page. They
  share `statistics`, `change_points`, `threads`, `money` and `goals`.
- `charts` turn those tables into figures; `app` lays them out and is what Streamlit runs.
- The command prints every report as text (`printing`) or JSON, without Streamlit.
"""
