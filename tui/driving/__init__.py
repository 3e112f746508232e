"""Driving an engine for an explorer: loading, streaming, taking tokens, questions about a step.

Knows no widget: it changes the explorer's state and calls `changed`; what the user should read
goes to `notify`.
"""
