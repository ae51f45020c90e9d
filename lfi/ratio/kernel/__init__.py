"""Density ratios by kernels: uLSIF, RuLSIF, KLIEP, kernel mean matching."""
