"""What is known of the inside of a step, as the rows of its screen."""
