"""The tree of what was taken, what is known of it, and the events that change it."""
