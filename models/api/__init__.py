"""What an engine is to everybody else: its protocol, instruments, options and provenance."""
