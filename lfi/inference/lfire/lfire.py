"""LFIRE: a ratio for every parameter, each by one penalised logistic regression on summaries.

For parameters theta_1, ..., theta_J (draws from the prior, or a grid) a classifier tells data of
theta_j from data of the prior predictive. Its log-odds are the log-ratio

    log r(theta_j, x) = log p(x | theta_j) / p(x) = b_j + beta_j . s(x),

for any x at once, and the posterior weighs the parameters by it. The sample of p(x) is one and the
same for all. An L1 penalty, chosen for each theta by cross-validation, picks the summaries that
matter there. Nothing is learned across parameters: simulations cost J times what one ratio takes,
where an amortised critic (`lfi.fit_posterior`) shares them.

Simulations that fail are no data of the classifier. Since the observed data did not fail, the
share of each theta's simulations that succeeded is a factor of its likelihood.

References:
    Thomas, Dutta, Corander, Kaski & Gutmann, Likelihood-free inference by ratio estimation,
        Bayesian Analysis, 2022. arXiv:1611.10242
"""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.summaries import Summary, summarised
from lfi.inference.arviz import inference_data
from lfi.inference.lfire.sparse_logistic import Problems, fit_sparse
from lfi.inference.types import Draws, Weighted
from lfi.numerics import effective_sample_size
from lfi.numerics.arrays import as_observation
from lfi.runtime import Advance, bar, child, fresh, numpy_rng, torch_rng
from lfi.simulation import Prior, Simulator, as_simulator, simulate_at
from lfi.simulation.records.results import OK

if TYPE_CHECKING:
    import arviz

ENTRIES = 2**24  # features that are simulated and fitted at a time: keeps memory flat
LEAST = 20  # successful simulations of a theta to fit a ratio to


@dataclass(frozen=True, eq=False)
class LFIREPosterior:
    """Parameters with a ratio each: for any observation, a weighted sample or grid.

    Attributes:
        theta: The parameters, (J, dim).
        log_prior: The log weight of each before data: equal for draws from the prior, the prior's
            density on a grid.
        intercepts: b, (J,), with the log share of simulations that succeeded.
        slopes: beta, (J, k); zero where a summary does not matter.
        penalties: What cross-validation chose.
        summary: What x is reduced to, (n, *event) to (n, k); None for x itself, flattened.
        prior: The simulator's.
        x_shape: The shape of one simulation's x.
        simulations: How many were run.
        failed: How many of them failed.
        seconds: How long simulating and fitting took.
    """

    theta: Float[Tensor, "J dim"]
    log_prior: Float[Tensor, " J"]
    intercepts: Float[Tensor, " J"]
    slopes: Float[Tensor, "J k"]
    penalties: Float[Tensor, " J"]
    summary: Summary | None
    prior: Prior
    x_shape: tuple[int, ...]
    simulations: int
    failed: int
    seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    def log_ratio(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "m J"]:
        """Return log r of every parameter at every observation, (m, *event)."""
        s = summarised(self.summary, x.to(self.slopes.dtype))
        return self.intercepts + s @ self.slopes.T

    def weighted(self, x: Float[Tensor, "m ..."]) -> Weighted:
        """Return the parameters with their log weights for every observation, (m, *event)."""
        log_weights = (self.log_prior + self.log_ratio(x)).double().log_softmax(dim=1)
        return Weighted(self.theta, log_weights)

    def weights(self, x_obs: Float[Tensor, "..."]) -> Float[Tensor, " J"]:
        """Return the parameters' posterior weights, which sum to 1.

        Raises:
            ValueError: If x_obs has another shape than one simulation's x, or is not finite.
        """
        x_obs = as_observation(x_obs, self.x_shape, dtype=None)
        return self.weighted(x_obs[None]).log_weights[0].exp()

    def mean(self, x_obs: Float[Tensor, "..."]) -> Float[Tensor, " dim"]:
        """Return the posterior mean."""
        return (self.weights(x_obs) @ self.theta.double()).to(self.theta)

    def sample(
        self, n: int, x_obs: Float[Tensor, "..."], *, seed: int | None = None
    ) -> Float[Tensor, "n dim"]:
        """Return n draws: of the parameters, with replacement, by their weights."""
        rng = torch_rng(fresh(seed))
        rows = torch.multinomial(self.weights(x_obs), n, replacement=True, generator=rng)
        return self.theta[rows]

    def to_arviz(
        self, x_obs: Float[Tensor, "..."], *, draws: int = 2_000, seed: int | None = None
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData: posterior, prior and observed data."""
        seed = fresh(seed)
        theta = self.sample(draws, x_obs, seed=child(seed, 0))
        facts = Draws(
            theta=theta,
            names=self.names,
            sampler="lfire",
            ess=float(effective_sample_size(self.weights(x_obs).log())),
            proposals=len(self.theta),
            seconds=self.seconds,
            seed=seed,
        )
        prior = self.prior.sample(draws, seed=numpy_rng(seed, 1))
        return inference_data(facts, prior, as_observation(x_obs, dtype=None))


def grid(*axes: Float[Tensor, " _"]) -> Float[Tensor, "m dim"]:
    """Return all combinations of values of each parameter, as rows.

    Example:
        >>> grid(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0])).tolist()
        [[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]]
    """
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


def fit_lfire(
    simulator: object,
    theta: Float[Tensor, "J dim"] | int = 500,
    *,
    simulations: int = 500,
    summary: Summary | None = None,
    penalties: int = 15,
    folds: int = 5,
    workers: int = 1,
    seed: int | None = None,
    progress: bool = True,
) -> LFIREPosterior:
    """Fit a ratio to every theta: J + 1 times `simulations` are run, exactly.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        theta: A grid of parameters, weighed by the prior's density; or how many to draw from it.
        simulations: How many for each theta, and as many of the prior predictive.
        summary: What x is reduced to, (n, *event) to (n, k): the features of the classifiers;
            None for x itself, flattened.
        penalties: How many are tried.
        folds: Of cross-validation.
        workers: How many processes simulate.
        seed: None takes fresh entropy.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If theta is not in the prior's support, or there are too few simulations.
        RuntimeError: If fewer than 20 simulations of the prior predictive succeed. A theta of which
            fewer succeed has weight zero.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 2.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
        >>> posterior = lfi.fit_lfire(noisy, 50, simulations=200, penalties=5, folds=2, seed=1)
        >>> posterior.simulations, posterior.sample(9, torch.zeros(1), seed=1).shape
        (10200, torch.Size([9, 1]))
    """
    began, simulator, seed = time.monotonic(), as_simulator(simulator), fresh(seed)
    prior = simulator.prior
    if isinstance(theta, int):
        theta = prior.sample(theta, seed=numpy_rng(seed, 0))
        log_prior = torch.zeros(len(theta), dtype=torch.float64)
    else:
        theta = theta.to(prior.dtype)
        log_prior = prior.log_prob(theta).double()
    if not (len(theta) and log_prior.isfinite().all()):
        raise ValueError(f"theta must lie in the support of {prior}, at least one row of it")
    if simulations < LEAST or folds < 2:
        raise ValueError(
            f"simulations must be at least {LEAST} and folds at least 2, got {simulations} and "
            f"{folds}"
        )
    total = (len(theta) + 1) * simulations
    with bar(f"lfire {simulator.name}", total, show=progress) as advance:
        work = _Work(simulator, summary, simulations, workers, seed, penalties, folds, advance)
        reference, fine, x_shape = work.simulated(
            prior.sample(simulations, seed=numpy_rng(seed, 1))
        )
        reference = reference[fine]
        if len(reference) < LEAST:
            raise RuntimeError(f"{len(reference)} simulations of the prior succeeded: too few")
        rows = max(1, ENTRIES // (reference.shape[1] * (simulations + len(reference))))
        parts = [work.fitted(part, i, reference) for i, part in enumerate(theta.split(rows))]
    intercepts, slopes, chosen, failed = zip(*parts, strict=True)
    return LFIREPosterior(
        theta=theta,
        log_prior=log_prior,
        intercepts=torch.cat(intercepts),
        slopes=torch.cat(slopes),
        penalties=torch.cat(chosen),
        summary=summary,
        prior=prior,
        x_shape=x_shape,
        simulations=total,
        failed=sum(failed) + int((~fine).sum()),
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, eq=False)
class _Work:
    """Simulates and fits some parameters at a time."""

    simulator: Simulator
    summary: Summary | None
    simulations: int
    workers: int
    seed: int
    penalties: int
    folds: int
    advance: Advance

    def simulated(self, theta: Tensor, *key: int) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Return the summaries at rows of theta, which of them are data, and the shape of x."""
        seed = child(self.seed, 2, *key)
        block = simulate_at(self.simulator, theta, seed=seed, workers=self.workers)
        self.advance(len(theta))
        if block.x is None:
            raise RuntimeError(f"all of {len(theta)} simulations failed") from block.cause
        fine = block.codes == OK
        x = torch.where(fine.reshape(-1, *[1] * (block.x.ndim - 1)), block.x, 0.0)
        s = summarised(self.summary, x)
        fine = fine & s.isfinite().all(dim=1)
        return torch.where(fine[:, None], s, 0.0), fine, tuple(block.x.shape[1:])

    def fitted(
        self, theta: Tensor, index: int, reference: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Return intercepts, slopes, penalties and failures of some parameters."""
        n, m, j = self.simulations, len(reference), len(theta)
        s, fine, _ = self.simulated(theta.repeat_interleave(n, dim=0), index)
        s, fine = s.reshape(j, n, -1), fine.reshape(j, n)
        good = fine.sum(dim=1)
        s = torch.cat([s, reference.expand(j, -1, -1)], dim=1)
        y = (torch.arange(n + m) < n).to(s).expand(j, -1)
        enough = good >= LEAST
        a = fine.to(s) / (2 * good.clamp(min=1)[:, None])
        a = torch.cat([a, s.new_full((j, m), 0.5 / m)], dim=1)
        a = a / a.sum(dim=1, keepdim=True)
        mean = (a[:, None] @ s)[:, 0]
        sd = (a[:, :, None] * (s - mean[:, None]).square()).sum(dim=1).sqrt()
        sd = torch.where(sd > 0, sd, 1.0)
        z = (s - mean[:, None]) / sd[:, None]
        fold = torch.cat([torch.arange(n), torch.arange(m)]) % self.folds
        b, beta, penalty = fit_sparse(Problems(z, y, a), fold, points=self.penalties)
        slopes = beta / sd
        intercepts = b - (slopes * mean).sum(dim=1) + (good / n).log().to(b)
        intercepts = torch.where(enough, intercepts, -math.inf)
        return intercepts, torch.where(enough[:, None], slopes, 0.0), penalty, int((~fine).sum())
