"""Two moons: a posterior of two crescents (sbibm's task).

    theta ~ Uniform(-1, 1)^2,    a ~ Uniform(-pi/2, pi/2),    r ~ Normal(0.1, 0.01^2),
    x = (r cos a + 0.25 - |theta_1 + theta_2| / sqrt 2,    r sin a + (theta_2 - theta_1) / sqrt 2).

With p = (r cos a, r sin a), a half moon, the density of x is that of p at the point which theta
and x leave for it,

    p(x | theta) = Normal(|p|; 0.1, 0.01^2) / (pi |p|),    p_1 > 0.

(The 1 / (pi |p|) of polar coordinates is missing in sbibm's own likelihood, not in its draws.) In
the coordinates z = ((theta_1 + theta_2), (theta_2 - theta_1)) / sqrt 2 the square of the prior is
|z_1| + |z_2| < sqrt 2, and the posterior is p, moved, on either side of z_1 = 0. `observations` are
sbibm's ten, made with `true_parameters`.

References:
    Greenberg et al., Automatic posterior transformation for likelihood-free inference, 2019.
    arXiv:1905.07488
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.8)
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, Uniform, constraints
from torch.special import ndtr

bound = 1.0
offset = 0.25
radius, thickness = 0.1, 0.01
differentiable = True

units = {"theta_1": "1", "theta_2": "1"}
prior = {name: Uniform(-bound, bound) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["two_moons_x"])
    true_parameters = torch.from_numpy(_data["two_moons_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 2) to (n, 2)."""
    a = math.pi * (torch.rand((len(theta), 1), generator=rng, dtype=theta.dtype) - 0.5)
    r = torch.randn((len(theta), 1), generator=rng, dtype=theta.dtype) * thickness + radius
    return torch.cat([r * a.cos(), r * a.sin()], dim=1) + _centre(theta)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 2) or (2,) to (n,), differentiable in theta."""
    p = x - _centre(theta)
    r = p.norm(dim=1)
    values = Normal(radius, thickness).log_prob(r) - torch.log(math.pi * r)
    return torch.where(p[:, 0] > 0, values, -math.inf)


def posterior(x_obs: Tensor) -> Distribution:
    """Return the posterior of theta given x_obs (2,)."""
    return Crescents(x_obs)


class Crescents(Distribution):
    """The posterior: its draws are exact, its density is normalised by quadrature over a.

    Attributes:
        x_obs: The observation, (2,).
    """

    arg_constraints = {}
    support = constraints.independent(constraints.interval(-bound, bound), 1)

    def __init__(self, x_obs: Tensor) -> None:
        self.x_obs = x_obs
        super().__init__(event_shape=torch.Size([2]))
        self._share = self._half()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of theta, (*, 2) to (*), minus infinity outside the square."""
        theta = value.reshape(-1, 2)
        inside = (theta.abs() <= bound).all(dim=1)
        values = log_likelihood(theta, self.x_obs) - math.log(2 * self._share)
        return torch.where(inside, values, -math.inf).reshape(value.shape[:-1])

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        """Draw moons around x_obs until enough lie in the square, on either side at random."""
        n = math.prod(sample_shape)
        kept, missing = [self.x_obs.new_empty(0, 2)], n
        while missing > 0:
            tries = min(64 + int(1.2 * missing / self._share), 2**20)
            a = math.pi * (torch.rand(tries, dtype=self.x_obs.dtype) - 0.5)
            r = radius + thickness * torch.randn(a.shape, dtype=a.dtype)
            z_1 = r * a.cos() + offset - self.x_obs[0]
            z_2 = self.x_obs[1] - r * a.sin()
            inside = (z_1 >= 0) & (z_1 + z_2.abs() <= math.sqrt(2) * bound)
            z_1 = torch.where(torch.rand(a.shape) < 0.5, z_1, -z_1)
            theta = torch.stack([z_1 - z_2, z_1 + z_2], dim=1) / math.sqrt(2)
            kept.append(theta[inside][:missing])
            missing -= len(kept[-1])
        return torch.cat(kept).clamp(-bound, bound).reshape(*sample_shape, 2)

    def _half(self) -> float:
        """Return the probability that a moon at x_obs falls into one half of the square.

        For each of many angles, the radii that do are an interval: r cos a is at least m, and
        r cos a + |x_2 - r sin a| is at most m + sqrt 2, where m = x_1 - 0.25.

        Raises:
            ValueError: If that is below one in a million: x_obs comes from nowhere in the square.
        """
        x_1, x_2 = self.x_obs.double()
        a = math.pi * ((torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16 - 0.5)
        least = x_1 - offset
        low, high = least / a.cos(), torch.full_like(a, math.inf)
        for sign in (-1.0, 1.0):
            slope = a.cos() + sign * a.sin()
            end = (least + math.sqrt(2) * bound + sign * x_2) / slope
            low = torch.where(slope < 0, torch.maximum(low, end), low)
            high = torch.where(slope > 0, torch.minimum(high, end), high)
        below = [ndtr((end - radius) / thickness) for end in (low, high)]
        share = (below[1] - below[0]).clamp(min=0).mean().item()
        if not share > 1e-6:
            raise ValueError(f"x_obs {self.x_obs.tolist()} cannot come from theta in the square")
        return share


def _centre(theta: Tensor) -> Tensor:
    """Return the centre of the moon's circle, (n, 2) to (n, 2)."""
    along, across = (theta[:, 0] + theta[:, 1]), (theta[:, 1] - theta[:, 0])
    return torch.stack([offset - along.abs() / math.sqrt(2), across / math.sqrt(2)], dim=1)
