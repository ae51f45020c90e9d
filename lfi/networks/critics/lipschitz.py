"""Lipschitz networks: |h(x) - h(y)| <= |x - y| for every two points, by construction.

Every layer is a matrix with orthonormal rows or columns, and every activation sorts neighbours in
pairs (MaxMin). Gradients therefore do not shrink, as they do where layers are divided by their norm
and activations flatten, and the networks come close to any function of slope one.

Reference:
    Anil, Lucas & Grosse, Sorting out Lipschitz function approximation, ICML 2019. arXiv:1811.05381
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from lfi.networks.residual import linear
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts


@checked
class LipschitzCritic(nn.Module):
    """A critic whose slope is at most one everywhere, (n, size) to (n,).

    Example:
        >>> critic = LipschitzCritic(2, width=16)
        >>> x, y = torch.zeros(1, 2).float(), torch.tensor([[3.0, 4.0]]).float()
        >>> bool((critic(x) - critic(y)).abs() <= 5)
        True
    """

    def __init__(self, size: int, *, width: int = 64, layers: int = 3) -> None:
        check_counts(size=size, width=width, layers=layers)
        super().__init__()
        if width % 2:
            raise ValueError(f"width must be even, for pairs to be sorted, got {width}")
        self.spec: dict[str, int] = {"size": size, "width": width, "layers": layers}
        sizes = [size, *[width] * layers, 1]
        self.layers: nn.ModuleList = nn.ModuleList(
            orthogonal(linear(a, b), orthogonal_map="cayley")
            for a, b in zip(sizes, sizes[1:], strict=False)
        )

    def forward(self, x: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return the critic's values."""
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x).unflatten(-1, (-1, 2))
            x = torch.cat([x.amax(dim=-1), x.amin(dim=-1)], dim=-1)
        return last(x).squeeze(-1)
