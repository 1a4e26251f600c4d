"""Which nodes of a dbt project need not be built again, and the proof of it for each.

A node is reused only where nothing that its rows follow from has changed since it was built: its
definition (`definitions`, `project`), what it reads and its own rows, both by their content asked
of the warehouse (`contents`), with nothing in it that gives other rows at another time or reads
what dbt does not know (`analysis`). `decisions` decides, `waves` says what is better decided later,
`recording` notes what was built, in the file that `state` reads and writes. Where a proof is
missing, a node is built. Nothing here imports dbt: orchestrate/transformer does the building.
"""
