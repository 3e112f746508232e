"""Experiments on any engine: settings over many continuations, and over every step of a text."""
