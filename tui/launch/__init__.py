"""tokexplore: a terminal token explorer for language models."""

__version__ = "0.1.0"
