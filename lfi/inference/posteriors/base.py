"""Posteriors known up to a constant: draws, densities, modes, posterior predictive.

A subclass defines the target density of observations and inherits the rest.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws, WeightedDraws
from lfi.inference.posteriors.drawn import DrawnPosterior
from lfi.inference.reliability import warn_unreliable, warn_unreliable_constants
from lfi.inference.samplers.automatic import Automatic
from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.maximum import modes
from lfi.inference.samplers.target import Sampler, Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_counts
from lfi.runtime import fresh, numpy_rng

NORMALISE = Importance(target_ess=4.0)  # estimates a normalising constant,
NORMALISED_DRAWS = 10_000  # with an effective size of a multiple of these
PAIRS = 2**18  # of observations and prior draws that are weighted at a time


class TargetPosterior(DrawnPosterior):
    """A posterior known up to its normalising constant, for any observation."""

    normalised: bool
    default_sampler: ClassVar[Sampler] = Automatic()

    @abstractmethod
    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, (m, *event), for samplers."""

    @property
    def has_evidence(self) -> bool:
        """Whether log w is known with its constant, and so the evidence that samplers estimate."""
        return True

    def _drawn(
        self, x: Float[Tensor, "m ..."], n: int, sampler: Sampler | None, seed: int
    ) -> tuple[Draws, ...]:
        """Return draws by a sampler, with warnings."""
        self.check_observations(x)
        drawn = (sampler or self.default_sampler)(self.target(x), n, seed=seed)
        warn_unreliable(drawn)
        if not self.has_evidence:
            drawn = tuple(replace(each, log_evidence=None) for each in drawn)
        return drawn

    def _data(self, x: Samples) -> Float[Tensor, "..."]:
        """Return data as the network takes them; ValueError unless finite, or rightly missing."""
        return as_observation(self._finite("x", x), name="x", missing=self.takes_missing)

    @checked
    @torch.no_grad()
    def log_ratio(self, theta: Samples, x: Samples) -> Float[Tensor, " n"]:
        """Return the log of posterior over prior, up to a function of x: log p(x | theta) + c(x).

        Theta is (n, theta_dim); x is one observation, (*event), or one for each parameter,
        (n, *event). Other shapes raise a ValueError.
        """
        theta, x = self.as_parameters(theta), self._data(x)
        if tuple(x.shape) == self.x_shape:
            return self.target(x[None]).log_weight(theta[None])[0]
        if tuple(x.shape) != (len(theta), *self.x_shape):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected one observation {self.x_shape} "
                f"or one for each parameter {(len(theta), *self.x_shape)}"
            )
        return self.target(x).log_weight(theta[:, None])[:, 0]

    @checked
    @torch.no_grad()
    def weighted(
        self, x: Float[Tensor, "m ..."], n: int = 4096, *, seed: int | None = None
    ) -> WeightedDraws:
        """Weight the same n prior draws for all observations x at once, as calibration needs."""
        check_counts(n=n)
        x, _ = self.observations(self._data(x))
        theta = self.prior.sample(n, seed=numpy_rng(fresh(seed)))
        parts = x.split(max(1, PAIRS // n))
        values = [self.target(part).log_weight(theta[None]) for part in parts]
        return WeightedDraws(theta, torch.cat(values).double().log_softmax(-1))

    @checked
    def log_prob(
        self, theta: Samples, x_obs: Samples, *, normalise: bool = False
    ) -> Float[Tensor, "*m n"]:
        """Return the log density of parameters, minus infinity outside the prior's support.

        Args:
            theta: Parameters, (n, theta_dim).
            x_obs: One observation, (*event), or many, (m, *event), each with all parameters.
            normalise: Subtract the log of the integral, estimated by importance sampling (in a
                fixed stream, so that values can be compared).

        Returns:
            (n,) for one observation, (m, n) for many.

        Warns:
            UnreliableDraws: If Pareto k of the integral's importance samples is above 0.7.
        """
        theta = self.as_parameters(theta)
        x, single = self.observations(x_obs)
        target = self.target(x)
        with torch.no_grad():
            value = target.log_density(theta[None])
        if normalise and not self.normalised:
            limit = TimeLimit.start(600.0)
            found = NORMALISE.weighted_samples(target, NORMALISED_DRAWS, seed=0, limit=limit)
            warn_unreliable_constants([each.khat for each in found])
            value = value - value.new_tensor([each.log_evidence for each in found])[:, None]
        return value[0] if single else value

    @checked
    def mode(
        self, x_obs: Samples, *, starts: int = 8, seed: int | None = None
    ) -> Float[Tensor, "*m theta_dim"]:
        """Return the parameters of largest posterior density: gradient ascent from the best draws.

        One observation, (*event), gives (theta_dim,); many, (m, *event), give (m, theta_dim). The
        best end of `starts` ascents is returned.
        """
        x, single = self.observations(x_obs)
        best = modes(self.target(x), starts=starts, seed=fresh(seed))
        return best[0] if single else best
