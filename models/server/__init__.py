"""Engines behind a server: its address, how it is asked, what it can do, and the engine on it."""
