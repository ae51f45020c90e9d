"""Kernels: positive definite functions of two points."""
