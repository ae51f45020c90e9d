"""Telescoping density ratios."""

from lfi.ratio.telescoping.telescoping import (
    TelescopingRatio,
)

__all__ = [
    "TelescopingRatio",
]
