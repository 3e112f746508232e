"""Widgets are tested in apps without a terminal."""

import support.headless  # noqa: F401
