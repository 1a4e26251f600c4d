"""The command `observe`: the ledger in a terminal, traces as pages or over OTLP, check-ins."""
