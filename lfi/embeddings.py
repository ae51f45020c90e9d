"""Embeddings of sets, series and images, to be trained along with a posterior."""

from lfi.networks import (
    ImageEmbedding,
    SeriesEmbedding,
    SetEmbedding,
)

__all__ = [
    "ImageEmbedding",
    "SeriesEmbedding",
    "SetEmbedding",
]
