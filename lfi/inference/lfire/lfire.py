"""LFIRE: a ratio for every parameter, each by one penalised logistic regression on summaries.

It is for comparisons with the paper, and for a ratio that is linear in a few summaries chosen among
many; `lfi.fit_posterior` needs far fewer simulations.

For parameters theta_1, ..., theta_J (draws from the prior, or a grid) a classifier tells data of
theta_j from data of the prior predictive, one sample for all j. Its log-odds are the log-ratio

    log r(theta_j, x) = log p(x | theta_j) / p(x) = b_j + beta_j . s(x),

for any x at once, and the posterior weights the parameters by it. An L1 penalty, chosen for each
theta by cross-validation, picks the summaries that matter there.

Failed simulations are left out of the classifier. Since the observed data did not fail, the share
of each theta's simulations that succeeded is a factor of its likelihood.

References:
    Thomas et al., Likelihood-free inference by ratio estimation, 2022. arXiv:1611.10242
"""

import math
import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.summaries import Summary, summarised
from lfi.inference.lfire.sparse_logistic import Problems, fit_sparse
from lfi.inference.posteriors.discrete import DiscretePosterior
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_counts
from lfi.runtime import Advance, bar, child, fresh, numpy_rng
from lfi.simulation import Prior, Simulator, as_simulator, simulate_at
from lfi.simulation.records.results import OK

MIN_SIMULATIONS = 20  # successful ones of a theta, to fit a ratio to


@dataclass(frozen=True, eq=False, repr=False)
class LFIREPosterior(DiscretePosterior):
    """Parameters with a ratio each: for any observation, a weighted sample or grid.

    Theta is (J, dim). `log_prior` is the log weight of each before data: equal for draws from the
    prior, the prior's density on a grid. `intercepts`, (J,), include the log share of simulations
    that succeeded; `slopes`, (J, k), are zero where a summary does not matter, by the `penalties`
    that cross-validation chose. `summary` takes x from (n, *event) to (n, k); None flattens x
    itself.
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

    sampler: ClassVar[str] = "lfire"

    def log_ratios(self, x: Float[Tensor, "m ..."]) -> Float[Tensor, "m J"]:
        """Return log r of every parameter at every observation, (m, *event)."""
        s = summarised(self.summary, x.to(self.slopes.dtype))
        return self.intercepts + s @ self.slopes.T

    def observation(self, x_obs: Samples | None = None) -> Float[Tensor, "..."]:
        """Return the observation as a tensor; ValueError if it does not fit or is not finite."""
        if x_obs is None:
            raise ValueError("x_obs: give the observation")
        return as_observation(x_obs, self.x_shape)

    def weights(self, x_obs: Samples) -> Float[Tensor, " J"]:
        """Return the parameters' posterior weights, which sum to 1; errors as of `observation`."""
        log_ratios = self.log_ratios(self.observation(x_obs)[None])[0]
        return (self.log_prior + log_ratios).double().softmax(dim=0)

    def weighted_parameters(
        self, x_obs: Samples | None = None
    ) -> tuple[Float[Tensor, "J dim"], Float[Tensor, " J"]]:
        """Return the parameters and their weights for an observation."""
        return self.theta, self.weights(self.observation(x_obs))

    def mean(self, x_obs: Samples) -> Float[Tensor, " dim"]:
        """Return the posterior mean."""
        return (self.weights(x_obs) @ self.theta.double()).to(self.theta)

    def describe(self) -> str:
        """Return what was fitted, from how many simulations."""
        used = int((self.slopes != 0).sum(dim=1).double().mean().round())
        return (
            f"ratios of {len(self.theta):,} parameters ({', '.join(self.names)}) by LFIRE\n"
            f"  {self.simulations:,} simulations ({self.failed:,} failed), {self.seconds:.1f} s\n"
            f"  {used} of {self.slopes.shape[1]} summaries used by each on average"
        )


def parameter_grid(*axes: Float[Tensor, " _"]) -> Float[Tensor, "m dim"]:
    """Return all combinations of values of each parameter, as rows.

    Example:
        >>> parameter_grid(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0])).tolist()
        [[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]]
    """
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


@checked
def fit_lfire(
    simulator: object,
    theta: Float[Tensor, "J dim"] | int = 500,
    *,
    simulations: int = 500,
    summary: Summary | None = None,
    penalties: int = 15,
    folds: int = 5,
    workers: int = 1,
    max_entries: int = 2**24,
    seed: int | None = None,
    progress: bool = True,
) -> LFIREPosterior:
    """Fit a ratio to every theta: J + 1 times `simulations` are run, exactly.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`.
        theta: A grid of parameters, weighted by the prior's density; or how many to draw from it.
        simulations: How many for each theta, and as many of the prior predictive.
        summary: What x is reduced to, (n, *event) to (n, k): the features of the classifiers;
            None for x itself, flattened.
        penalties: How many are tried.
        folds: Of cross-validation.
        workers: How many processes simulate.
        max_entries: How many features are held at a time, which bounds the memory.
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
    check_counts(penalties=penalties, workers=workers, max_entries=max_entries)
    prior = simulator.prior
    if isinstance(theta, int):
        theta = prior.sample(theta, seed=numpy_rng(seed, 0))
        log_prior = torch.zeros(len(theta), dtype=torch.float64)
    else:
        theta = theta.to(prior.dtype)
        log_prior = prior.log_prob(theta).double()
    if not (len(theta) and log_prior.isfinite().all()):
        raise ValueError(
            f"theta must lie in the support of {prior}, at least one row of it, got shape "
            f"{tuple(theta.shape)} with {int((~log_prior.isfinite()).sum())} rows outside"
        )
    if simulations < MIN_SIMULATIONS or folds < 2:
        raise ValueError(
            f"simulations must be at least {MIN_SIMULATIONS} and folds at least 2, got "
            f"{simulations} and {folds}"
        )
    total = (len(theta) + 1) * simulations
    with bar(f"LFIRE by {simulator.name}", total, progress) as advance:
        fit = _Fit(simulator, summary, simulations, workers, seed, penalties, folds, advance)
        reference, valid, x_shape = fit.simulated(
            prior.sample(simulations, seed=numpy_rng(seed, 1))
        )
        reference = reference[valid]
        if len(reference) < MIN_SIMULATIONS:
            raise RuntimeError(f"{len(reference)} simulations of the prior succeeded: too few")
        rows = max(1, max_entries // (reference.shape[1] * (simulations + len(reference))))
        parts = [fit.fitted(part, i, reference) for i, part in enumerate(theta.split(rows))]
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
        failed=sum(failed) + int((~valid).sum()),
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, eq=False)
class _Fit:
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
        valid = block.codes == OK
        x = torch.where(valid.reshape(-1, *[1] * (block.x.ndim - 1)), block.x, 0.0)
        s = summarised(self.summary, x).double()
        valid = valid & s.isfinite().all(dim=1)
        return torch.where(valid[:, None], s, 0.0), valid, tuple(block.x.shape[1:])

    def fitted(
        self, theta: Tensor, index: int, reference: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Return intercepts, slopes, penalties and failures of some parameters."""
        n, m, j = self.simulations, len(reference), len(theta)
        s, valid, _ = self.simulated(theta.repeat_interleave(n, dim=0), index)
        s, valid = s.reshape(j, n, -1), valid.reshape(j, n)
        count = valid.sum(dim=1)
        s = torch.cat([s, reference.expand(j, -1, -1)], dim=1)
        y = (torch.arange(n + m) < n).to(s).expand(j, -1)
        enough = count >= MIN_SIMULATIONS
        a = valid.to(s) / (2 * count.clamp(min=1)[:, None])
        a = torch.cat([a, s.new_full((j, m), 0.5 / m)], dim=1)
        a = a / a.sum(dim=1, keepdim=True)
        mean = (a[:, None] @ s)[:, 0]
        sd = (a[:, :, None] * (s - mean[:, None]).square()).sum(dim=1).sqrt()
        sd = torch.where(sd > 0, sd, 1.0)
        z = (s - mean[:, None]) / sd[:, None]
        fold = torch.cat([torch.arange(n), torch.arange(m)]) % self.folds
        b, beta, penalty = fit_sparse(Problems(z, y, a), fold, points=self.penalties)
        slopes = beta / sd
        intercepts = b - (slopes * mean).sum(dim=1) + (count.to(b) / n).log()
        intercepts = torch.where(enough, intercepts, -math.inf)
        return intercepts, torch.where(enough[:, None], slopes, 0.0), penalty, int((~valid).sum())
