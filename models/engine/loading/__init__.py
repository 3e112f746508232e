"""Opening a model: what its files ask for, whether it can run here, and its weights."""
