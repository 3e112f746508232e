"""Sessions on disk: one SQLite file each, written as it happens, read without a model.

`FORMAT.md` describes the file.
"""
