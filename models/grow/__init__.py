"""A tree grown by probability: which tokens come next in it, and how much of the mass is seen."""
