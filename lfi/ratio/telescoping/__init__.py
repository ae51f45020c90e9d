"""Telescoping density ratios."""
