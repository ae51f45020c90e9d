"""Samplers of a posterior density."""
