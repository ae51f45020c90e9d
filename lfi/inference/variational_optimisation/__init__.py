"""Adversarial variational optimisation: parameters of a black box that a critic cannot fault."""
