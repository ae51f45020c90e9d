"""Critics of inputs side by side, as generators' critics are: (n, *event) each, to log p / q."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk


class VectorCritic(nn.Module):
    """log p / q of inputs of order one, flattened and laid side by side.

    Without normalisation layers, so that gradient penalties see the function itself. It returns
    `features` values of each row; where that is 0, one number, without an axis.

    Example:
        >>> critic = VectorCritic([(5,), (2,)], width=16)
        >>> critic(torch.zeros(3, 5).float(), torch.zeros(3, 2).float()).shape
        torch.Size([3])
    """

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        *,
        features: int = 0,
        width: int = 96,
        layers: int = 2,
    ) -> None:
        super().__init__()
        self.features = features
        size = sum(int(torch.Size(shape).numel()) for shape in shapes)
        self.first: nn.Linear = linear(size, width)
        self.rest: nn.Sequential = trunk(width, layers, features or 1, norm=False)

    def forward(self, *inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "*values"]:
        """Return the log ratio of (n, *event) inputs, or features of them, (n, features)."""
        flat = torch.cat([x.flatten(1) for x in inputs], dim=1)
        values = self.rest(self.first(flat))
        return values if self.features else values.squeeze(-1)
