"""Calibration: are the posteriors of many simulations right about the parameters behind them?

Take simulations (theta*, x) that the posterior was not fitted to, theta* from its prior. A test
quantity T(theta, x) orders the parameters; the posterior mass that it puts below theta* is uniform
on [0, 1] if the posterior is right, whatever T is. Four choices of T, four questions:

    quantity                        transform           what it sees
    theta_d                         ranks (SBC)         bias and width of each marginal
    -density of the posterior       credibility         regions too large or too small
    |theta - r|, r from the prior   tarp                shapes and dependences, without densities
    |theta - r(x)|, r predicts      tarp_given_x        a posterior that ignores some of the data
      theta from x

The first three hold for the posterior and as well for the prior, returned whatever x: no such test
can tell them apart (Lemos et al., section 3; Modrak et al., section 3). The fourth can, since its
reference points depend on x. r(x_j) is a regression of the other held-out parameters on their data
(`scores.predict_left_out`): it does not know theta*_j, so its transform is exactly uniform too, and
the dependence it makes between two observations is of the order 1/m^2.
Distances are Euclidean in normal scores of the prior's marginals.

**Finite candidates.** The posterior of x is known as weights w_i = p(x | theta_i) / p(x) of
candidates theta_1..c from the prior. Add theta* as theta_0. Given the set {theta_0..c} and x, each
member is the one that made x with probability proportional to its weight: theta* is a draw from the
weighted set itself. Hence, with all weights normalised together and u uniform,

    sum_i w_i 1[T_i < T_0] + u sum_i w_i 1[T_i = T_0]

is uniform exactly, for every number of candidates: few effective ones make no false alarm. What
they cost is sight: each transform is blurred by its own weight, about 1/ess, and towards ess = 1 it
is nothing but u. A check whose blur exceeds its `resolution` is not accepted as passed.

Candidates are shared by one observation for every 128 of them, and then drawn afresh: sharing
correlates the transforms by 1/candidates or less, so that the variance of their empirical
distribution grows by less than a hundredth.

Each transform is compared with the uniform by a Kolmogorov-Smirnov test. Of k tests each has the
level alpha/k (Bonferroni): right posteriors fail `ok` with probability at most alpha.

References:
    Talts et al., Validating Bayesian inference algorithms with SBC, 2018. arXiv:1804.06788
    Hermans et al., A trust crisis in simulation-based inference?, TMLR 2022. arXiv:2110.06581
    Lemos et al., Sampling-based accuracy testing of posterior estimators, 2023. arXiv:2302.03026
    Modrak et al., SBC: the choice of test quantities shapes sensitivity, 2023. arXiv:2211.02383
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics.scores import predict_left_out, scores_among
from lfi.inference.posterior import Weighted
from lfi.simulation import Prior, Simulations
from lfi.training.seeds import child, fresh, numpy_rng, torch_rng

PER_OBSERVATION = 128  # candidates for each of the observations that share them
SHARING = 64  # observations that share candidates at most: this bounds the memory
LEAST = 10  # effective candidates, for however few observations
PRIOR_SAMPLE = 1024  # draws that fix the coordinates of distances


@runtime_checkable
class WeighsCandidates(Protocol):
    """A posterior of any observation, known by its ratio to the prior: what `check` needs."""

    prior: Prior
    names: tuple[str, ...]
    x_shape: tuple[int, ...]

    def log_ratio(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return log p(theta | x) / p(theta) up to a function of x, row by row."""
        ...

    def weighted(self, x: Tensor, candidates: int, *, seed: int) -> Weighted:
        """Return shared candidates from the prior with their log-ratios, up to one of x."""
        ...


@dataclass(frozen=True, eq=False)
class Checks:
    """Transforms of m held-out simulations, uniform where the posterior is right, and verdicts.

    Attributes:
        names: The parameters.
        ranks: Posterior mass below the true value, for each parameter, (m, D).
        credibility: Posterior mass of the densities above the true one's, (m,): the level of the
            smallest highest-density region that holds the truth.
        tarp: Posterior mass nearer than the truth to a point drawn from the prior, (m,).
        tarp_given_x: The same for a point predicted from x, (m,).
        levels: Levels from 0 to 1, (L,).
        coverage: Share of the observations whose region of that level holds the truth, (L,); above
            the diagonal regions are too large, below too small.
        tarp_coverage: The same for the balls of `tarp`, (L,).
        tarp_given_x_coverage: The same for the balls of `tarp_given_x`, (L,).
        p_values: Of uniformity: one for each parameter, "coverage", "TARP" and "TARP given x".
        ess: Effective candidates of an observation, the median over the observations.
        alpha: The false-alarm rate of `ok`.
        seed: The seed in use.
        scope: Which prior the observations come from.
    """

    names: tuple[str, ...]
    ranks: Float[Tensor, "m d"]
    credibility: Float[Tensor, " m"]
    tarp: Float[Tensor, " m"]
    tarp_given_x: Float[Tensor, " m"]
    levels: Float[Tensor, " l"]
    coverage: Float[Tensor, " l"]
    tarp_coverage: Float[Tensor, " l"]
    tarp_given_x_coverage: Float[Tensor, " l"]
    p_values: dict[str, float]
    ess: float
    alpha: float
    seed: int
    scope: str

    @property
    def n(self) -> int:
        """How many held-out simulations were judged."""
        return len(self.ranks)

    @property
    def needed(self) -> float:
        """The least `ess` to judge by: a blur no larger than the resolution, and at least 10."""
        return max(LEAST, 1 / self.resolution)

    @property
    def enough(self) -> bool:
        """Whether the effective candidates were as many as needed."""
        return self.ess >= self.needed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests whose p-value is below alpha over the number of tests."""
        level = self.alpha / len(self.p_values)
        return tuple(name for name, p_value in self.p_values.items() if p_value < level)

    @property
    def ok(self) -> bool:
        """Whether no test failed and the candidates were enough to see with."""
        return self.enough and not self.failed

    @property
    def resolution(self) -> float:
        """The smallest departure n simulations can see, between 0 and 1.

        A transform whose distribution function departs from the diagonal by this much anywhere is
        flagged at least half of the time, by 1.5 times as much nearly always.
        """
        return float(scipy.stats.kstwo.isf(self.alpha / len(self.p_values), self.n))

    def describe(self) -> list[str]:
        """Return lines for people: the verdict, each test, and what could have been seen."""
        verdict = "calibrated" if self.ok else "not calibrated" if self.failed else "not judged"
        level, tests = self.alpha / len(self.p_values), len(self.p_values)
        width = max(map(len, self.p_values))
        return [
            f"{verdict}, by {self.n} simulations {self.scope}",
            *(
                f"  {name:<{width}}  p = {p_value:.3g}" + "  fails" * (name in self.failed)
                for name, p_value in self.p_values.items()
            ),
            f"  a test fails below p = {level:.2g}; a right posterior passes all {tests} "
            f"with probability {1 - self.alpha:g} or more",
            f"  departures of {self.resolution:.2f} of a transform's distribution are seen",
            f"  {self.ess:.0f} effective candidates per observation"
            + ("" if self.enough else f", {self.needed:.0f} are needed: raise `candidates`"),
        ]


def check(
    posterior: WeighsCandidates,
    held_out: Simulations,
    *,
    seed: int | None = None,
    candidates: int = 8192,
    alpha: float = 0.01,
) -> Checks:
    """Compare the posteriors of held-out simulations with the parameters that made them.

    Args:
        posterior: A posterior of any observation; its prior is what the verdict is over.
        held_out: Simulations from that prior that the posterior was not fitted to. Failed ones are
            left out: the verdict is over what the simulator returns.
        seed: Of candidates, reference points and the breaking of ties.
        candidates: Draws from the prior that represent a posterior.
        alpha: The probability at most that a right posterior fails.

    Raises:
        ValueError: If no simulation is valid, if names or shapes differ from the posterior's, if
            parameters lie outside its prior, or if its ratios are not numbers.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference.posterior import Weighted
        >>> class Exact:  # x = theta + noise: theta given x is N(x / 2, 1 / 2)
        ...     prior = lfi.simulation.as_prior({"theta": Normal(0.0, 1.0)})
        ...     names, x_shape = ("theta",), (1,)
        ...     def log_ratio(self, theta, x):
        ...         return -(x - theta).square().sum(-1) / 2
        ...     def weighted(self, x, candidates, *, seed):
        ...         theta = self.prior.sample(candidates, rng=lfi.training.seeds.numpy_rng(seed))
        ...         return Weighted(theta, self.log_ratio(theta, x[:, None]))
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1),
        ...                           prior=Exact.prior)
        >>> checks = check(Exact(), lfi.simulate(simulator, 200, seed=1), seed=2, candidates=512)
        >>> checks.ok, list(checks.p_values)
        (True, ['theta', 'coverage', 'TARP', 'TARP given x'])
    """
    if candidates < 2:
        raise ValueError(f"candidates must be at least 2, got {candidates}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    seed = fresh(seed)
    theta, x = _valid_rows(posterior, held_out)
    prior, m, d = posterior.prior, len(theta), len(posterior.names)

    sample = prior.sample(PRIOR_SAMPLE, rng=numpy_rng(seed, 0))
    anywhere = scores_among(prior.sample(m, rng=numpy_rng(seed, 1)), sample)
    true_scores = scores_among(theta, sample)
    predicted = predict_left_out(x.reshape(m, -1), true_scores)
    u = torch.rand(m, d + 3, generator=torch_rng(seed, 2), dtype=torch.float64)

    transforms, ess = [], []
    sharing = min(max(candidates // PER_OBSERVATION, 1), SHARING)
    for chunk, rows in enumerate(torch.arange(m).split(sharing)):
        weighted = posterior.weighted(x[rows], candidates=candidates, seed=child(seed, 3, chunk))
        log_weights = _with_the_true_one(posterior, theta[rows], x[rows], weighted)
        weights = log_weights.softmax(dim=1)
        log_prior = _beside(prior.log_prob(theta[rows]), prior.log_prob(weighted.theta))
        scores = _beside(true_scores[rows], scores_among(weighted.theta, sample))
        quantities = (
            *_beside(theta[rows], weighted.theta).unbind(-1),
            -(log_weights + log_prior),
            (scores - anywhere[rows, None]).norm(dim=-1),
            (scores - predicted[rows, None]).norm(dim=-1),
        )
        transforms.append(
            torch.stack([_mass_below(q, weights, u[rows, t]) for t, q in enumerate(quantities)], 1)
        )
        ess.append(1 / weights.square().sum(dim=1))

    transforms = torch.cat(transforms)
    columns = (*posterior.names, "coverage", "TARP", "TARP given x")
    p_values = {
        name: float(scipy.stats.kstest(column.numpy(), "uniform").pvalue)
        for name, column in zip(columns, transforms.T, strict=True)
    }
    levels = torch.linspace(0, 1, 101, dtype=torch.float64)
    coverage = (transforms[:, d:, None] <= levels).double().mean(dim=0)
    return Checks(
        names=posterior.names,
        ranks=transforms[:, :d],
        credibility=transforms[:, d],
        tarp=transforms[:, d + 1],
        tarp_given_x=transforms[:, d + 2],
        levels=levels,
        coverage=coverage[0],
        tarp_coverage=coverage[1],
        tarp_given_x_coverage=coverage[2],
        p_values=p_values,
        ess=float(torch.cat(ess).median()),
        alpha=float(alpha),
        seed=seed,
        scope=_scope(prior),
    )


def _valid_rows(posterior: WeighsCandidates, held_out: Simulations) -> tuple[Tensor, Tensor]:
    """Return the valid (theta, x), once they are simulations of the posterior's own kind."""
    prior = posterior.prior
    if held_out.names != posterior.names:
        raise ValueError(
            f"held_out has the parameters {held_out.names}, the posterior {posterior.names}"
        )
    theta, x = held_out.ok()
    if len(theta) == 0:
        raise ValueError(f"held_out has no valid simulation among {len(held_out)}")
    if tuple(x.shape[1:]) != tuple(posterior.x_shape):
        raise ValueError(
            f"held_out has x of shape {tuple(x.shape[1:])}, the posterior takes "
            f"{tuple(posterior.x_shape)}"
        )
    outside = int((~prior.contains(theta)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(theta)} held-out parameters lie outside the posterior's prior "
            f"({_scope(prior)}): simulate them with `prior=posterior.prior`"
        )
    lower, upper = held_out.prior.lower.double(), held_out.prior.upper.double()
    inside = (lower > prior.lower) & ~torch.isclose(lower, prior.lower.double())
    inside |= (upper < prior.upper) & ~torch.isclose(upper, prior.upper.double())
    if inside.any():
        raise ValueError(
            f"held_out comes from a narrower prior ({_scope(held_out.prior)}) than the "
            f"posterior's ({_scope(prior)}): simulate it with `prior=posterior.prior`"
        )
    return theta, x


def _with_the_true_one(
    posterior: WeighsCandidates, theta: Tensor, x: Tensor, weighted: Weighted
) -> Float[Tensor, "m k"]:
    """Return log-weights, the true parameter's first; the scale of each row is its own."""
    log_weights = weighted.log_weights.double()
    log_weight, best = log_weights.max(dim=1)  # perhaps normalised, which the ratio is not
    gain = posterior.log_ratio(theta, x) - posterior.log_ratio(weighted.theta[best], x)
    log_weights = torch.cat([(log_weight + gain.double())[:, None], log_weights], dim=1)
    if not log_weights.max(dim=1).values.isfinite().all():  # NaN, infinite, or no weight at all
        raise ValueError("posterior gives no finite log-ratios at some held-out x")
    return log_weights


def _beside(
    true: Float[Tensor, " m *d"], candidates: Float[Tensor, " c *d"]
) -> Float[Tensor, " m 1+c *d"]:
    """Put in front of the candidates, which all rows share, each row's true value."""
    shared = candidates.double().expand(len(true), *candidates.shape)
    return torch.cat([true.double()[:, None], shared], dim=1)


def _mass_below(
    quantity: Float[Tensor, "m c"], weights: Float[Tensor, "m c"], u: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Return the weight of what is below the first column, and the share u of its ties."""
    first = quantity[:, :1]
    below = (weights * (quantity < first)).sum(dim=1)
    tied = (weights * (quantity == first)).sum(dim=1)
    return (below + u * tied).clamp(max=1.0)  # sums of weights are 1 up to rounding


def _scope(prior: Prior) -> str:
    """Say in words which parameters a verdict is about."""
    if not prior.truncated:
        return "over the prior"
    bounds = zip(prior.names, prior.lower.tolist(), prior.upper.tolist(), strict=True)
    box = ", ".join(f"{name} in [{lower:.3g}, {upper:.3g}]" for name, lower, upper in bounds)
    return f"over the prior truncated to {box}"
