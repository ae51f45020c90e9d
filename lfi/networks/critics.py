"""Critics of inputs side by side, as generators' critics are: (n, *event) each, to log p / q.

`PairCritic`, which embeds the two sides of a pair apart, has a module of its own.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk


class VectorCritic(nn.Module):
    """log p / q of inputs of order one, flattened and laid side by side.

    Without normalisation layers, so that gradient penalties see the function itself.

    Example:
        >>> critic = VectorCritic([(5,), (2,)], width=16)
        >>> critic(torch.zeros(3, 5).float(), torch.zeros(3, 2).float()).shape
        torch.Size([3])
    """

    def __init__(self, shapes: Sequence[Sequence[int]], *, width: int = 96, depth: int = 2) -> None:
        super().__init__()
        size = sum(int(torch.Size(shape).numel()) for shape in shapes)
        self.first, self.rest = linear(size, width), trunk(width, depth, 1, norm=False)

    def forward(self, *inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Return the log ratio of (n, *event) inputs."""
        flat = torch.cat([x.flatten(1) for x in inputs], dim=1)
        return self.rest(self.first(flat)).squeeze(-1)
