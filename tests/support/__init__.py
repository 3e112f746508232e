"""Doubles and helpers that the tests of all rooms share."""
