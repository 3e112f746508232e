"""The only room of the explorer that imports torch and transformers."""
