"""How the program ends, as shells know it; an error brings its own code (`exit_code`: 1 or 2)."""

import signal

OK = 0
FAILURE = 1
INTERRUPTED = 130
"""By ctrl+c."""
PIPE_CLOSED = 141
TERMINATED = 143
BY_SIGNAL = {signal.SIGHUP: 129, signal.SIGTERM: TERMINATED}
"""Of the signals that end the program."""
