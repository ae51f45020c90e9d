"""Penalties on critics, and constraints on their weights."""
