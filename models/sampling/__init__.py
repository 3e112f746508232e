"""How a token is chosen: settings, what a path makes of the logits, what the sampler keeps."""
