"""Residual networks for vectors: the trunk of critics, embeddings and generators.

    h <- h + B silu(A norm(h))

LayerNorm rather than BatchNorm: a critic's batch mixes samples of p and of q, and what it says of
one sample must not depend on the others. Critics under gradient penalties go without any.
"""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# float32 whatever the default dtype, so that equal seeds build equal networks
linear = partial(nn.Linear, dtype=torch.float32)
layer_norm = partial(nn.LayerNorm, dtype=torch.float32)


class Block(nn.Module):
    """One residual step of fixed width."""

    def __init__(self, width: int, norm: bool = True) -> None:
        super().__init__()
        self.norm = layer_norm(width) if norm else nn.Identity()
        self.inner, self.outer = linear(width, width), linear(width, width)

    def forward(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return h plus the step, (..., width)."""
        return h + self.outer(F.silu(self.inner(self.norm(h))))


def trunk(width: int, depth: int, out: int, norm: bool = True) -> nn.Sequential:
    """Return `depth` blocks and a linear layer, (..., width) to (..., out)."""
    last = layer_norm(width) if norm else nn.SiLU()
    return nn.Sequential(*(Block(width, norm) for _ in range(depth)), last, linear(width, out))
