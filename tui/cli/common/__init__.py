"""What subcommands share: options and what is made of them, prompts, progress, an engine."""
