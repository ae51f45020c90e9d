"""Critics that see fine structure: inputs enter as waves of several lengths.

    x -> (x, sin 2^j x, cos 2^j x),    j = 0, ..., scales - 1.

A network of a few layers learns smooth functions first and fine ones late. Modes a hundredth as
wide as the data are fine; with waves down to a fifth of a standard deviation's length its first
layer tells their middle from their edge.

References:
    Tancik et al., Fourier features let networks learn high frequency functions in low dimensional
        domains, 2020. arXiv:2006.10739
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk


class MultiscaleCritic(nn.Module):
    """log p / q of inputs of order one, the first of them in waves of several lengths.

    Attributes:
        scales: How many lengths.
        features: How many values it returns of each row; 0 for one number, without an axis.

    Example:
        >>> critic = MultiscaleCritic([(5,), (2,)], width=16)
        >>> critic(torch.zeros(3, 5).float(), torch.zeros(3, 2).float()).shape
        torch.Size([3])
    """

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        *,
        scales: int = 6,
        features: int = 0,
        width: int = 64,
        layers: int = 2,
    ) -> None:
        super().__init__()
        sizes = [int(torch.Size(shape).numel()) for shape in shapes]
        self.scales, self.features = scales, features
        size = sum(sizes) + 2 * scales * sizes[0]
        self.first, self.rest = linear(size, width), trunk(width, layers, features or 1, norm=False)

    def forward(self, *inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "*values"]:
        """Return the log ratio of (n, *event) inputs, or features of them, (n, features)."""
        x, *given = (part.flatten(1) for part in inputs)
        phases = torch.cat([2.0**j * x for j in range(self.scales)], dim=1)
        terms = torch.cat([x, phases.sin(), phases.cos(), *given], dim=1)
        values = self.rest(self.first(terms))
        return values if self.features else values.squeeze(-1)
