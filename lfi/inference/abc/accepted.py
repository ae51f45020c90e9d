"""What approximate Bayesian computation returns: parameters whose data came close, with weights.

Theta and x are drawn from the prior (or a proposal, which the weights correct) and kept where

    d(x, x_obs) <= tolerance,

so that they follow the posterior given that the data are this close, and the posterior itself as
the tolerance goes to zero. A simulation that failed has no distance: it is rejected, as it must be,
since the observed data did not fail.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.arviz import inference_data
from lfi.inference.types import Draws
from lfi.numerics import effective_sample_size
from lfi.runtime import child, fresh, numpy_rng, torch_rng
from lfi.simulation import Prior, as_simulator, replicate

if TYPE_CHECKING:
    import arviz


@runtime_checkable
class Adjustment(Protocol):
    """Moves accepted parameters to where they would be had their data been the observed."""

    def __call__(
        self,
        u: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
        x_obs: Float[Tensor, "*shape"],
        weights: Float[Tensor, " n"],
    ) -> Float[Tensor, "n dim"]:
        """Return the moved parameters, in unconstrained coordinates as u is."""
        ...


@dataclass(frozen=True)
class Generation:
    """One population of a sequence, and what it cost.

    Attributes:
        tolerance: The largest distance in it.
        acceptance: The share of the generation's simulations that are in it.
        ess: How many equal weights have the variance of its weights.
        simulations: How many were run, failed ones included.
        failed: How many of them failed.
        seconds: How long it took.
    """

    tolerance: float
    acceptance: float
    ess: float
    simulations: int
    failed: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Accepted:
    """Accepted parameters: weighted draws of the posterior at a tolerance.

    Attributes:
        theta: The parameters, (n, dim), from the closest data to the farthest.
        weights: Their weights, which sum to 1.
        distances: How far their data are from the observation.
        tolerance: No distance is larger.
        x: Their data, (n, *event).
        x_obs: The observation.
        prior: What theta was drawn from, in the end.
        simulations: How many were run in all.
        failed: How many of those failed, and so were rejected.
        history: The populations on the way, the last of them this one; empty after rejection.
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
    history: tuple[Generation, ...] = field(default=())
    adjusted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def ess(self) -> float:
        """How many equally weighted draws have the variance of these."""
        return float(effective_sample_size(self.weights.log()))

    @property
    def acceptance(self) -> float:
        """Accepted per simulation: of the last generation, where there were several."""
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

    def sample(self, n: int, *, seed: int | None = None) -> Float[Tensor, "n dim"]:
        """Return n draws, with replacement and in proportion to the weights.

        Raises:
            ValueError: If n is not positive.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        rng = torch_rng(fresh(seed))
        return self.theta[torch.multinomial(self.weights, n, replacement=True, generator=rng)]

    def adjust(self, adjustment: Adjustment) -> "Accepted":
        """Return them moved by a regression of theta on the data, to take out the tolerance.

        Weights are multiplied by Epanechnikov's kernel, 1 - (d / tolerance)^2, so that close data
        count more; where an estimate of a squared distance is negative, distances count from the
        lowest. Theta is moved in unconstrained coordinates and so stays in the prior's box.

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
        reach = self.tolerance - lowest
        near = 1 - ((self.distances - lowest) / reach).square() if reach > 0 else torch.ones(())
        weights = self.weights * near
        weights = weights / weights.sum() if weights.sum() > 0 else self.weights
        kept = weights > 0
        u = self.prior.to_unconstrained(self.theta[kept]).double()
        moved = adjustment(u, self.x[kept], self.x_obs, weights[kept])
        theta = self.prior.from_unconstrained(moved.to(self.theta))[0]
        inside = self.prior.log_prob(theta).isfinite()  # a support that is not a box
        theta = torch.where(inside[:, None], theta, self.theta[kept])
        return replace(
            self,
            theta=theta,
            weights=weights[kept],
            distances=self.distances[kept],
            x=self.x[kept],
            adjusted=True,
        )

    def to_arviz(
        self, *, draws: int = 2_000, simulator: object = None, seed: int | None = None
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData: posterior, prior and observed data.

        Args:
            draws: How many.
            simulator: Adds data simulated anew at the draws, `posterior_predictive`.
            seed: None takes fresh entropy, which the group `posterior` records.
        """
        seed = fresh(seed)
        theta = self.sample(draws, seed=child(seed, 0))
        sample = Draws(
            theta=theta,
            names=self.names,
            sampler="abc",
            ess=self.ess,
            acceptance=self.acceptance,
            proposals=self.simulations,
            seconds=sum(generation.seconds for generation in self.history),
            seed=seed,
        )
        prior = self.prior.sample(draws, seed=numpy_rng(seed, 1))
        predictive = None
        if simulator is not None:
            predictive = replicate(as_simulator(simulator), theta, seed=child(seed, 2))
        return inference_data(sample, prior, self.x_obs, predictive)
