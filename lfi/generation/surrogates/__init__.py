"""Surrogates of simulators, and their fidelity."""
