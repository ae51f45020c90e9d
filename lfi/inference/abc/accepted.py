"""Posteriors of approximate Bayesian computation: weighted parameters whose data came close.

Theta and x are drawn from the prior (or a proposal, which the weights correct) and kept where
d(x, x_obs) <= tolerance; as the tolerance goes to zero they follow the posterior. A simulation that
failed has no distance and is rejected, since the observed data did not fail.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.distances import Data, Observed, Parameters
from lfi.inference.draws import Draws
from lfi.inference.posteriors.discrete import DiscretePosterior
from lfi.numerics import effective_sample_size
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_tensor
from lfi.simulation import Prior


@runtime_checkable
class Adjustment(Protocol):
    """A regression adjustment of accepted parameters to the observed data."""

    def __call__(
        self, u: Parameters, x: Data, x_obs: Observed, weights: Float[Tensor, " n"]
    ) -> Parameters:
        """Return the moved parameters, in unconstrained coordinates as u is."""
        ...


@dataclass(frozen=True)
class PopulationSummary:
    """One population of sequential ABC, and its cost.

    `tolerance` is the largest distance in it, `acceptance` the share of its own simulations that
    are in it, `ess` the effective sample size of its weights; `simulations` counts failed ones too.
    """

    tolerance: float
    acceptance: float
    ess: float
    simulations: int
    failed: int
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class ABCPosterior(DiscretePosterior):
    """Accepted parameters: weighted draws of the posterior of one observation, at a tolerance.

    Attributes:
        theta: The parameters, (n, dim), from the closest data to the farthest.
        weights: Their weights, which sum to 1.
        distances: How far their data are from the observation.
        tolerance: No distance is larger.
        x: Their data, (n, *event).
        x_obs: The observation.
        prior: The prior.
        simulations: How many were run in all.
        failed: How many of those failed, and so were rejected.
        history: All populations, the last of them this one; empty after rejection.
        adjusted: Whether theta was moved by a regression.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 20), prior=prior)
        >>> accepted = lfi.abc_rejection(lfi.simulate(noisy, 2_000, seed=1), torch.ones(20) / 2,
        ...     discrepancy=lfi.discrepancies.Energy(), number=100)
        >>> accepted.sample(5, seed=1).shape, accepted.acceptance
        (torch.Size([5, 1]), 0.05)
    """

    theta: Float[Tensor, "n dim"]
    weights: Float[Tensor, " n"]
    distances: Float[Tensor, " n"]
    tolerance: float
    x: Float[Tensor, " n *event"]
    x_obs: Float[Tensor, "*shape"]
    prior: Prior
    simulations: int
    failed: int
    history: tuple[PopulationSummary, ...] = field(default=())
    adjusted: bool = False

    sampler: ClassVar[str] = "abc"

    @property
    def ess(self) -> float:
        """The effective sample size of the weights."""
        return float(effective_sample_size(self.weights.log()))

    @property
    def acceptance(self) -> float:
        """Accepted per simulation: of the last population, where there were several."""
        return self.history[-1].acceptance if self.history else len(self) / self.simulations

    @property
    def mean(self) -> Float[Tensor, " dim"]:
        """The weighted mean of each parameter."""
        return (self.weights @ self.theta.double()).to(self.theta)

    @property
    def sd(self) -> Float[Tensor, " dim"]:
        """The weighted standard deviation of each parameter."""
        centred = self.theta.double() - self.mean.double()
        return (self.weights @ centred.square()).sqrt().to(self.theta)

    def __len__(self) -> int:
        return len(self.theta)

    def observation(self, x_obs: Samples | None = None) -> Float[Tensor, "*shape"]:
        """Return the observation; ValueError if another one is given."""
        if x_obs is not None:
            x = as_tensor("x_obs", x_obs).to(self.x_obs)
            if x.shape != self.x_obs.shape or not torch.equal(x, self.x_obs):
                raise ValueError(
                    "x_obs: parameters were accepted for one observation, and this is another: "
                    "run ABC for it, or fit an amortised posterior with lfi.fit_posterior"
                )
        return self.x_obs

    def weighted_parameters(
        self, x_obs: Samples | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Return the accepted parameters and their weights, which sum to 1."""
        self.observation(x_obs)
        return self.theta, self.weights

    @checked
    def draw(self, n: int, x_obs: Samples | None = None, *, seed: int | None = None) -> Draws:
        """Return n draws by weight; None is the observation that parameters were accepted for.

        Raises:
            ValueError: If n is not positive, or another observation is given.
        """
        return replace(
            super().draw(n, x_obs, seed=seed),
            acceptance=self.acceptance,
            proposals=self.simulations,
            seconds=sum(population.seconds for population in self.history),
        )

    def describe(self) -> str:
        """Return how many were accepted of how many, how close, and where they lie."""
        width, (_, *rows) = max(map(len, self.names)), self._table()
        return "\n".join(
            [
                f"{len(self):,} parameters accepted, {self.simulations:,} simulations "
                f"({self.failed:,} failed)",
                f"  tolerance {self.tolerance:.4g}, acceptance {self.acceptance:.2%}, effective "
                f"sample size {self.ess:.0f}{', adjusted by regression' if self.adjusted else ''}",
                *(f"  {name:<{width}}  {mean} +- {sd}" for name, mean, sd in rows),
            ]
        )

    def _table(self) -> list[tuple[object, ...]]:
        moments = zip(self.names, self.mean.tolist(), self.sd.tolist(), strict=True)
        rows = [(name, f"{mean:.4g}", f"{sd:.2g}") for name, mean, sd in moments]
        return [("parameter", "mean", "standard deviation"), *rows]

    @checked
    def adjust(self, adjustment: Adjustment) -> "ABCPosterior":
        """Return them adjusted by a regression of theta on the data, which corrects the tolerance.

        Weights are multiplied by Epanechnikov's kernel, 1 - (d / tolerance)^2, so that close data
        count more; where an estimate of a squared distance is negative, distances count from the
        lowest. Theta is moved in unconstrained coordinates and so stays in the prior's support.

        Args:
            adjustment: `lfi.abc.LocalLinear()` or `lfi.abc.Heteroscedastic()`.

        Raises:
            ValueError: If they were adjusted before, or too few to regress.

        Example:
            >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
            >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
            >>> simulations = lfi.simulate(noisy, 2_000, seed=1)
            >>> rough = lfi.abc_rejection(simulations, torch.ones(1), quantile=0.5)
            >>> fine = rough.adjust(lfi.abc.LocalLinear())  # the posterior is N(1/2, 1/2)
            >>> bool((fine.mean - 0.5).abs() < (rough.mean - 0.5).abs())
            True
        """
        if self.adjusted:
            raise ValueError("these parameters are adjusted already: adjust the accepted ones")
        lowest = min(0.0, float(self.distances.min()))
        radius = self.tolerance - lowest
        scaled = (self.distances - lowest) / radius if radius > 0 else self.distances.new_zeros(())
        weights = self.weights * (1 - scaled.square())
        weights = weights / weights.sum() if weights.sum() > 0 else self.weights
        kept = weights > 0
        u = self.prior.to_unconstrained(self.theta[kept]).double()
        moved = adjustment(u, self.x[kept], self.x_obs, weights[kept])
        theta = self.prior.from_unconstrained(moved.to(self.theta))[0]
        inside = self.prior.log_prob(theta).isfinite()  # a support that is no product of intervals
        theta = torch.where(inside[:, None], theta, self.theta[kept])
        kept_parts = {"distances": self.distances[kept], "x": self.x[kept]}
        return replace(self, theta=theta, weights=weights[kept], adjusted=True, **kept_parts)
