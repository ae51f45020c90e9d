"""Discrepancies of two samples: MMD, energy, transport, moments, density difference."""
