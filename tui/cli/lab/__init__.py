"""The lab on the command line: each experiment's options, and its report."""
