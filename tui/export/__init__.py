"""A tree as a file for others to read: JSON lines, JSON, CSV, Markdown, HTML, Graphviz."""
