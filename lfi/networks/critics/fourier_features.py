"""Critics of Fourier features, which resolve fine structure.

    x -> (x, sin 2^j x, cos 2^j x),    j = 0, ..., scales - 1.

A network of a few layers learns smooth functions first and fine ones late; with waves down to a
fifth of a standard deviation's length it resolves modes a hundredth as wide as the data.

References:
    Tancik et al., Fourier features let networks learn high frequency functions in low dimensional
        domains, 2020. arXiv:2006.10739
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.networks.critics.vector import VectorCritic


class FourierFeatureCritic(VectorCritic):
    """log p / q of inputs of order one, the first of them in Fourier features of `scales` lengths.

    It returns `features` values of each row; where that is 0, one number, without an axis.

    Example:
        >>> critic = FourierFeatureCritic([(5,), (2,)], width=16)
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
        first, *given = shapes
        waves = (scales * int(torch.Size(first).numel()),)
        super().__init__(
            [first, waves, waves, *given], features=features, width=width, layers=layers
        )
        self.scales = scales

    def forward(self, *inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "*values"]:
        """Return the log ratio of (n, *event) inputs, or features of them, (n, features)."""
        x, *given = inputs
        phases = torch.cat([2.0**j * x.flatten(1) for j in range(self.scales)], dim=1)
        return super().forward(x, phases.sin(), phases.cos(), *given)
