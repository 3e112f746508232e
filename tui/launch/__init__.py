"""tokexplore: a terminal token explorer for language models."""


def __getattr__(name: str) -> str:
    """`__version__`, as pyproject.toml has it; looked up late, for it takes milliseconds."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("tokexplore")
