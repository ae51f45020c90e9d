"""Priors with named parameters."""
