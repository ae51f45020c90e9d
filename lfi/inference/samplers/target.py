"""Target densities of samplers: the posteriors of many observations as one batched density.

For observation j of m, the posterior is the prior times a weight,

    p(theta | x_j)  ∝  p(theta) w_j(theta),

where w_j is a ratio p(x_j | theta) / p(x_j), a likelihood p(x_j | theta), or either times any
constant; log w is a function of pairs, so that one call serves all observations and all chains. In
unconstrained coordinates, theta = T(u) with the prior's bijection T, the density of u is
p(theta) w_j(theta) |det dT/du|: nothing that moves in u ever leaves the support.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.simulation import Prior

ROWS = 2**11  # pairs evaluated at a time, which bounds the memory and fits the cache


@dataclass(frozen=True, eq=False)
class Proposal:
    """A proposal distribution closer to the posteriors than the prior is, such as a fitted flow.

    Attributes:
        x: The observations or their embeddings, (m, ...), which the functions take.
        draw: draw(n, x, rng) returns n parameters for each observation, (m, n, D), with torch's
            generator `rng`; they may lie outside the prior's support.
        log_density: log_density(theta, x) returns the log density of (m, n, D), (m, n). Exact.
    """

    x: Float[Tensor, "m ..."]
    draw: Callable[[int, Tensor, torch.Generator], Tensor]
    log_density: Callable[[Tensor, Tensor], Tensor]

    def select(self, rows: Int[Tensor, " k"]) -> "Proposal":
        """Return the proposal for some of the observations."""
        return replace(self, x=self.x[rows])


@dataclass(frozen=True, eq=False)
class Target:
    """The posteriors of m observations.

    Attributes:
        prior: Its support and bijection hold for all of them.
        x: What `pair` takes of each observation, tensors of (m, ...): the observation or its
            embeddings.
        pair: pair(theta, *x) returns log w of theta, (m, n, D), or (1, n, D) where all observations
            share them, and of each tensor of x, (m, 1, ...); the result is (m, n), differentiable
            in theta, on any device and in any precision. theta comes on the CPU in the prior's
            dtype.
        proposal: A proposal distribution to start from besides the prior; None for none.
        rows: How many pairs are evaluated at a time.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> target.log_weight(torch.zeros(1, 5, 1)).shape
        torch.Size([2, 5])
    """

    prior: Prior
    x: tuple[Float[Tensor, "m ..."], ...]
    pair: Callable[..., Tensor]
    proposal: Proposal | None = None
    rows: int = ROWS

    def __len__(self) -> int:
        """Return how many observations there are."""
        return len(self.x[0])

    @property
    def anchor(self) -> Float[Tensor, " d"]:
        """A point of the support."""
        return self.prior.from_unconstrained(torch.zeros(self.prior.dim))[0]

    @property
    def differentiable(self) -> bool:
        """Whether log w has a gradient."""
        with torch.enable_grad():
            theta = self.anchor[None, None].requires_grad_()
            return self._pair(theta, slice(0, 1)).requires_grad

    def select(self, rows: Int[Tensor, " k"]) -> "Target":
        """Return the posteriors of some of the observations."""
        proposal = self.proposal and self.proposal.select(rows)
        return replace(self, x=tuple(part[rows] for part in self.x), proposal=proposal)

    def log_weight(self, theta: Float[Tensor, "k n d"]) -> Float[Tensor, "m n"]:
        """Return log w_j(theta) on the CPU: theta is of each observation or, (1, n, D), of all."""
        values = theta.new_empty(len(self), theta.shape[1])
        for first, last in self._chunks(theta.shape[1]):
            part = theta[:, last] if len(theta) == 1 else theta[first, last]
            values[first, last] = self._pair(part, first)
        return values

    def log_density(self, theta: Float[Tensor, "k n d"]) -> Float[Tensor, "m n"]:
        """Return log p(theta) + log w_j(theta), minus infinity outside the support."""
        log_prior = self.prior.log_prob(theta)
        inside = torch.where(log_prior.isfinite()[..., None], theta, self.anchor.to(theta))
        return torch.where(log_prior.isfinite(), log_prior + self.log_weight(inside), -math.inf)

    def unconstrained(
        self, u: Float[Tensor, "m n d"]
    ) -> tuple[Float[Tensor, "m n"], Float[Tensor, "m n"]]:
        """Return the prior's log density of u and log w_j, whose sum is the log density of u.

        They are separate because annealing raises only the weight to a power.
        """
        theta, log_jacobian = self.prior.from_unconstrained(u)
        return self.prior.log_prob(theta) + log_jacobian, self.log_weight(theta)

    def unconstrained_density(self, u: Float[Tensor, "m n d"]) -> Float[Tensor, "m n"]:
        """Return the log density of u."""
        log_prior, log_weight = self.unconstrained(u)
        return log_prior + log_weight

    def density_and_gradient(
        self, u: Float[Tensor, "m n d"], *, jacobian: bool = True
    ) -> tuple[Float[Tensor, "m n"], Float[Tensor, "m n d"]]:
        """Return the log density of u (without `jacobian`, that of theta) and its gradient in u.

        Raises:
            ValueError: If torch cannot differentiate it.
        """
        density, gradient = u.new_empty(u.shape[:2]), torch.empty_like(u)
        for first, last in self._chunks(u.shape[1]):
            part = u[first, last].detach().requires_grad_()
            with torch.enable_grad():
                theta, log_jacobian = self.prior.from_unconstrained(part)
                weight = self._pair(theta, first)
                value = self.prior.log_prob(theta) + weight + (log_jacobian if jacobian else 0)
                if not weight.requires_grad:
                    raise ValueError(
                        "the target is not differentiable: take a sampler without gradients, such "
                        "as lfi.samplers.DifferentialEvolution"
                    )
                (gradient[first, last],) = torch.autograd.grad(value.sum(), part)
            density[first, last] = value.detach()
        return density, gradient

    def _chunks(self, n: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of observations and of parameters that make at most `rows` pairs."""
        across = min(len(self), self.rows)
        along = max(1, self.rows // across)
        for i in range(0, len(self), across):
            for j in range(0, n, along):
                yield slice(i, i + across), slice(j, j + along)

    def _pair(self, theta: Tensor, rows: slice) -> Tensor:
        return self.pair(theta, *(part[rows, None] for part in self.x)).to(theta)


@runtime_checkable
class Sampler(Protocol):
    """A sampling algorithm. Implementations are frozen dataclasses of their settings."""

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior.

        Without a seed, fresh entropy is taken, which the draws record. TimeoutError if time runs
        out before there are draws to return.
        """
        ...
