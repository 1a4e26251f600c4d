"""What Meltano leaves: its JSON log, read by `log`; its own database, imported by `database`."""
