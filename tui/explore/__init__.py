"""The exploration itself, without a screen: what is explored, and driving an engine for it.

Knows no widget: it changes the explorer's state and calls `changed`; what the user should read
goes to `notify`.
"""
