"""What follows from a posterior's ratio to its prior, whatever the ratio came from.

    p(theta | x) = p(theta) w(theta, x) / Z(x),

with w a likelihood, a product of ratios, or any function. Draws and densities are every
`TargetPosterior`'s; checks also need w itself, row by row, and candidates weighed by it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.posterior import Weighted
from lfi.inference.target_posterior import TargetPosterior
from lfi.training import fresh, numpy_rng

PAIRS = 2**18  # of observations and candidates that are held at a time


class WeighedPosterior(TargetPosterior):
    """A posterior known by log w(theta, x)."""

    @torch.no_grad()
    def log_ratio(
        self, theta: Float[Tensor, "n theta_dim"], x: Float[Tensor, "..."]
    ) -> Float[Tensor, " n"]:
        """Return log p(theta | x) / p(theta), up to a function of x unless `normalised`.

        Args:
            theta: Parameters inside the prior's support, (n, theta_dim).
            x: One observation, (*event), or one for each parameter, (n, *event).

        Raises:
            ValueError: If a shape does not fit.
        """
        self.check_theta(theta)
        if x.shape == self.x_shape:
            return self.target(x[None]).log_weight(theta[None])[0]
        if x.shape != (len(theta), *self.x_shape):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected one observation {self.x_shape} "
                f"or one for each parameter {(len(theta), *self.x_shape)}"
            )
        return self.target(x).log_weight(theta[:, None])[:, 0]

    @torch.no_grad()
    def weighted(
        self, x: Float[Tensor, "m ..."], candidates: int = 4096, *, seed: int | None = None
    ) -> Weighted:
        """Weigh the same prior draws for many observations at once, as calibration needs.

        Args:
            x: Observations, (m, *event).
            candidates: How many prior draws to weigh.
            seed: None takes fresh entropy.
        """
        theta = self.prior.sample(candidates, rng=numpy_rng(fresh(seed)))
        parts = x.split(max(1, PAIRS // candidates))
        values = [self.target(part).log_weight(theta[None]) for part in parts]
        return Weighted(theta, torch.cat(values).double().log_softmax(-1))
