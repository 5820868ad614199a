"""Scenarios from Python, as seed 004 calls them: HTTP to a Sensorium server, nothing else."""
