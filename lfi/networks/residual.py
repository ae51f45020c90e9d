"""Residual networks for vectors: the trunk of critics, embeddings and generators.

    h <- h + B silu(A norm(h))

LayerNorm, because what a critic says of one sample must not depend on the others of its batch.
Critics under gradient penalties go without any.
"""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# float32 whatever the default dtype, so that equal seeds build equal networks
linear: partial[nn.Linear] = partial(nn.Linear, dtype=torch.float32)
layer_norm: partial[nn.LayerNorm] = partial(nn.LayerNorm, dtype=torch.float32)


def zero(layer: nn.Linear) -> nn.Linear:
    """Return the layer with weights and bias of zero, in place."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def repeated(h: Float[Tensor, "m ..."], like: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Return each row of h as often as makes as many rows as another tensor has.

    Example:
        >>> repeated(torch.tensor([[1.0], [2.0]]), torch.zeros(4)).flatten()
        tensor([1., 1., 2., 2.])
    """
    m, n = h.shape[0], like.shape[0]
    return h if m == n else h.repeat_interleave(n // m, dim=0)


class ResidualBlock(nn.Module):
    """One residual step of fixed width."""

    def __init__(self, width: int, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm: nn.LayerNorm | nn.Identity = layer_norm(width) if norm else nn.Identity()
        self.dropout: nn.Dropout = nn.Dropout(dropout)
        self.inner: nn.Linear = linear(width, width)
        self.outer: nn.Linear = linear(width, width)

    def forward(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return h plus the step, (..., width)."""
        return h + self.outer(self.dropout(F.silu(self.inner(self.norm(h)))))


def trunk(
    width: int, layers: int, out: int, norm: bool = True, dropout: float = 0.0
) -> nn.Sequential:
    """Return `layers` blocks and a linear layer, (..., width) to (..., out)."""
    last = layer_norm(width) if norm else nn.SiLU()
    return nn.Sequential(
        *(ResidualBlock(width, norm, dropout) for _ in range(layers)), last, linear(width, out)
    )


def last_linear(net: nn.Sequential) -> nn.Linear:
    """Return the last layer of a trunk."""
    last = net[-1]
    assert isinstance(last, nn.Linear)
    return last


class Tower(nn.Module):
    """A residual network beside a linear map: what is linear costs the network nothing."""

    def __init__(
        self, size: int, out: int, *, width: int, layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.size: int = out
        self.first: nn.Linear = linear(size, width)
        self.rest: nn.Sequential = trunk(width, layers, out, dropout=dropout)
        self.straight: nn.Linear = linear(size, out, bias=False)

    def forward(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n_out"]:
        """Return (..., out) for (..., size)."""
        return self.rest(self.first(h)) + self.straight(h)
