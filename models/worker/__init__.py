"""The engine in its own process: the child's loop, the parent's client, their messages."""
