"""Embeddings of sets, series and images, to be trained along with a posterior."""

from lfi.networks import (
    ImageEmbedding as ImageEmbedding,
    SeriesEmbedding as SeriesEmbedding,
    SetEmbedding as SetEmbedding,
)
