"""The only room that wires: app, screens, keys, command line."""
