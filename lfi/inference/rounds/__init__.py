"""Truncated sequential rounds."""
