"""Requests, replies and streams over HTTP."""
