"""What is explored as the plain values that widgets draw."""
