"""What is asked of a server before it is used."""
