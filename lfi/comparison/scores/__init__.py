"""Scores of generated samples against data."""
