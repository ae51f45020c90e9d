"""Ratio: density ratios from two samples, by networks, kernels and telescopes."""

from lfi.ratio.ratio import Estimate, ImportanceWeights, Ratio

__all__ = ["Estimate", "ImportanceWeights", "Ratio"]
