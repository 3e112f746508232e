"""Tapes: small scripts that drive the real app, on a clock of their own."""
