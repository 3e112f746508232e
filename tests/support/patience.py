"""How long a test waits for what has to come: late, for a machine that does much else."""

LATE = 300.0
"""Seconds."""
