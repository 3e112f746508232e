"""The terminal: only what changed is written, no faster than the line takes it; ends, clipboard."""
