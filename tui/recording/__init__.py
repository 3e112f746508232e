"""What a viewer of the screen sees, as a file: recordings, pictures."""
