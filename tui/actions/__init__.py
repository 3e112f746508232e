"""What the keys of the main screen do, a file for each kind of work."""
