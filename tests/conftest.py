"""What all tests run under."""

import os

# Two torch threads on two busy cores wait for each other: tests use one, children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What the app looks like in a test must not hang on the terminal that the tests are run from.
os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
os.environ.pop("NO_COLOR", None)
