"""Density ratios by kernels: uLSIF, RuLSIF, KLIEP, kernel mean matching."""

from lfi.ratio.kernel.kernel_ratio import (
    KernelRatio,
)

__all__ = [
    "KernelRatio",
]
