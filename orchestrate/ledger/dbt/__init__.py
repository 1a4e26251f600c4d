"""What dbt leaves: its event log, and the artifacts that the launcher archives.

`collect` merges both into rows of the ledger; `imports` reads any other folder of artifacts. This
file and `manifests` import nothing heavy, since the launcher needs them.
"""
