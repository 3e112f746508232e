"""Lines for people: steps, experiments and tables as text."""
