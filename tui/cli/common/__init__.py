"""What subcommands share: parsers, groups of options, progress, an engine in this process."""
