"""Methods with an embedding of x, given at one place for all that take one."""

import math
from collections.abc import Sequence
from dataclasses import is_dataclass, replace

from torch import nn

from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.types import Method

MAX_LIKELIHOOD = 128  # numbers of x, up to which a likelihood of x stands beside embeddings


def with_embedding(name: str, method: Method, embedding: nn.Module) -> Method:
    """Return a method that sees x through an embedding.

    Raises:
        ValueError: If the method, the argument `name`, takes none, or has one.

    Example:
        >>> with_embedding("method", lfi.NeuralRatio(), nn.Flatten()).embedding
        Flatten(start_dim=1, end_dim=-1)
    """
    if isinstance(method, SurrogateLikelihood):
        raise ValueError(
            f"embedding: {name} is a SurrogateLikelihood, which models x itself: take "
            "lfi.PosteriorFlow() or lfi.NeuralRatio(), or fit the likelihood to few numbers, the "
            "`summaries` of a PosteriorFlow's posterior, and condition it on those of x_obs"
        )
    if not (is_dataclass(method) and hasattr(method, "embedding")):
        kind = type(method).__name__
        raise ValueError(
            f"embedding: {name} is a {kind}, which takes none here: take lfi.Pool(), "
            "lfi.PosteriorFlow(), lfi.NeuralRatio() or lfi.AdversarialPosterior()"
        )
    if getattr(method, "embedding", None) is not None:
        raise ValueError(f"embedding: {name} has an embedding of its own: give one, not both")
    return replace(method, embedding=embedding)


def with_embeddings(
    methods: Sequence[Method], embedding: nn.Module, x_shape: Sequence[int]
) -> tuple[Method, ...]:
    """Return methods of which all that can see x through an embedding do.

    A likelihood of x itself stays among them where x is few numbers.
    """
    few = math.prod(x_shape) <= MAX_LIKELIHOOD
    return tuple(
        method
        if isinstance(method, SurrogateLikelihood)
        else with_embedding("methods", method, embedding)
        for method in methods
        if few or not isinstance(method, SurrogateLikelihood)
    )
