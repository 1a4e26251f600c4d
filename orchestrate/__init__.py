"""Operations around the tap: launchers, and what reads the logs of runs. Never imports the tap."""
