"""Traces of runs, made of what the ledger knows; of the ledger only a record is read.

model           a span, its events and links
spans           record -> spans: the tree of a run
nodes, lineage  the spans of dbt and its nodes, and what each of them follows from
events          what happens within spans
attributes      the one table of names that spans carry, and who sends them
results         how things ended: words, statuses, classes of errors
critical_path   which work decided when a run ended
"""
