"""Densities by a ratio to a reference."""
