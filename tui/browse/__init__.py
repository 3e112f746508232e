"""The main screen, and what its keys do, a file for each kind of work.

Dialogs are imported by the action that opens them: the first paint does not wait for them.
"""
