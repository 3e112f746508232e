"""The inside of a model, by hooks on the one that is loaded."""
