"""What all tests run under."""

import os

# Two torch threads on two busy cores wait for each other: tests use one, children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
