"""Commands of the command line that have a room of their own: their options, and what they do."""
