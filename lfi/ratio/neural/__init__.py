"""Density ratios by critics."""
