"""Why a model said what it said: what is asked of its inside, and how the answers are read."""
