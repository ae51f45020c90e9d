"""Critics: networks whose output is a log density ratio.

`PairCritic` compares pairs (theta, x). It embeds each side once and joins the embeddings by a sum,

    h(theta, x) = head(e_theta(theta) + e_x(x)),

so that contrasting one x with K parameters costs K heads and not K embeddings, and a posterior for
one x_obs embeds it once. `VectorCritic` takes its inputs side by side, as generators' critics do.

References:
    Hermans, Begy & Louppe, Likelihood-free MCMC with amortized approximate ratio estimators, 2020.
    arXiv:1903.04057
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk
from lfi.networks.standardise import Coordinates, Features


class PairCritic(nn.Module):
    """log p(theta, x) / p(theta) p(x), standardisation included.

    Attributes:
        spec: The arguments, to build the same network again.

    Example:
        >>> critic = PairCritic([0.0, 0.0], [1.0, float("inf")], (5,), width=16, depth=1)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 64,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.spec = {
            "lower": list(lower),
            "upper": list(upper),
            "x_shape": list(x_shape),
            "width": width,
            "depth": depth,
        }
        self.coordinates = Coordinates(lower, upper)
        self.features = Features(x_shape)
        size = self.coordinates.size
        self.theta_net = nn.Sequential(linear(size, width), nn.SiLU(), linear(width, width))
        self.x_net = nn.Sequential(linear(self.features.size, width), trunk(width, 2, width))
        self.head = trunk(width, depth, 1)

    def learn(self, theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "n ..."]) -> None:
        """Take the standardisation from the training split."""
        self.coordinates.learn(theta)
        self.features.learn(x)

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_width"]:
        """Return the embedding of (..., theta_dim), (..., width)."""
        return self.theta_net(self.coordinates(theta))

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_width"]:
        """Return the embedding of (..., *event), (..., width)."""
        return self.x_net(self.features(x))

    def embed(
        self, theta: Float[Tensor, "*n"], x: Float[Tensor, "*m"]
    ) -> tuple[Float[Tensor, "*n_width"], Float[Tensor, "*m_width"]]:
        """Return both embeddings."""
        return self.embed_theta(theta), self.embed_x(x)

    def pair(
        self, theta: Float[Tensor, "*n_width"], x: Float[Tensor, "*m_width"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        return self.head(theta + x).squeeze(-1)

    def forward(
        self, theta: Float[Tensor, "*n"], x: Float[Tensor, "*m"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of (..., theta_dim) and (..., *event), broadcasting the rest."""
        return self.pair(*self.embed(theta, x))


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
