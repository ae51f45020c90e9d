"""Implicit variational inference: posteriors that are known by draws of a network."""
