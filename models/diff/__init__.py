"""Two models on one path: how far apart what they say of its tokens is."""
