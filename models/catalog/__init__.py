"""Which models are here, what their files say, and what they take in memory."""
