"""Approximate Bayesian computation."""
