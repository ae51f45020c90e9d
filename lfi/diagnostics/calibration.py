"""Calibration: tests of posteriors over many held-out simulations.

Take simulations (theta*, x) that the posterior was not fitted to, theta* from its prior. A test
quantity T(theta, x) orders the parameters; the posterior mass that it puts below theta* is uniform
on [0, 1] if the posterior is right, whatever T is. Four choices of T:

    quantity                        transform           what it detects
    theta_d                         ranks (SBC)         bias and width of each marginal
    -density of the posterior       credibility         regions too large or too small
    |theta - r|, r from the prior   tarp                shapes and dependences, without densities
    |theta - r(x)|, r predicts      tarp_given_x        a posterior that ignores some of the data
      theta from x

The prior itself, returned whatever x, passes the first three (Lemos et al., section 3; Modrak et
al., section 3), but not the fourth. There r(x_j) is a regression of the other held-out parameters
on their data (`scores.predict_left_out`): it does not know theta*_j, so its transform is exactly
uniform too, and the dependence between two observations is of the order 1/m^2. Distances are
Euclidean in normal scores of the prior's marginals.

**Finite samples.** The posterior of x is known by weighted samples theta_1..c. The true parameter,
added as theta_0, is a draw from the weighted set (`weighted_posterior.py`); so, with all weights
normalised together and u uniform,

    sum_i w_i 1[T_i < T_0] + u sum_i w_i 1[T_i = T_0]

is uniform exactly, for every number of samples: with equal weights, a rank with ties broken at
random. Few samples cost power: each transform is blurred by its own weight, about 1/ess. A check
whose blur exceeds its `resolution` is not passed. Importance samples are shared by one observation
for every 128 of them, and then drawn afresh: the transforms correlate by 1/c or less, and the
variance of their empirical distribution grows by less than a hundredth.

Each transform is compared with the uniform by a Kolmogorov-Smirnov test. Of k tests each has the
level alpha/k (Bonferroni): right posteriors fail `ok` with probability at most alpha.

References:
    Talts et al., Validating Bayesian inference algorithms with SBC, 2018. arXiv:1804.06788
    Hermans et al., A trust crisis in simulation-based inference?, TMLR 2022. arXiv:2110.06581
    Lemos et al., Sampling-based accuracy testing of posterior estimators, 2023. arXiv:2302.03026
    Modrak et al., SBC: the choice of test quantities shapes sensitivity, 2023. arXiv:2211.02383
"""

from dataclasses import dataclass
from functools import cached_property

import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics.departures import (
    Departure,
    coverage_departure,
    parameter_departure,
    what_to_do,
)
from lfi.diagnostics.foreign import HasPotential, as_checkable
from lfi.diagnostics.scores import predict_left_out, scores_among
from lfi.diagnostics.verdict import Grade, Judged, Verdict
from lfi.diagnostics.weighted_posterior import (
    CONSISTENT,
    MIN_ESS,
    TOO_FEW,
    Checkable,
    scope_of,
    valid_rows,
    weighted_posteriors,
)
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_counts, check_share, check_whole
from lfi.runtime import Rows, child, fresh, numpy_rng, torch_rng
from lfi.simulation import Simulations

PRIOR_SAMPLE = 1024  # draws that fix the coordinates of distances
MAX_TOLD = 4  # parameters whose departures stand in a verdict
RAISE_SAMPLES = "raise `importance_samples` or `draws` of lfi.check"


@dataclass(frozen=True, eq=False, repr=False)
class Checks(Judged):
    """Calibration: transforms of m held-out simulations, uniform where the posterior is right.

    Attributes:
        ranks: Posterior mass below the true value, for each parameter, (m, D).
        credibility: Posterior mass of the densities above the true one's, (m,): the level of the
            smallest highest-density region that holds the truth.
        tarp: Posterior mass nearer than the truth to a point drawn from the prior, (m,).
        tarp_given_x: The same for a point predicted from x, (m,).
        coverage: Share of the observations whose region of each of `levels` holds the truth, (L,);
            above the diagonal regions are too large, below too small. `tarp_coverage` and
            `tarp_given_x_coverage` are the same for the balls of `tarp` and `tarp_given_x`.
        p_values: Of uniformity: one for each parameter, "coverage", "TARP" and "TARP given x".
        ess: Effective sample size of an observation's posterior, the median over the observations.
        alpha: The false-alarm rate of `ok`.
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
        """How many held-out simulations were used."""
        return len(self.ranks)

    @property
    def min_ess(self) -> float:
        """The effective sample size needed: a blur no larger than the resolution, at least 10."""
        return needed_ess(self.n, len(self.p_values), self.alpha)

    @property
    def enough(self) -> bool:
        """Whether the effective sample size is as large as needed."""
        return self.ess >= self.min_ess

    @property
    def p_value(self) -> float:
        """Of all tests together: the smallest p-value, corrected for their number."""
        return min(1.0, len(self.p_values) * min(self.p_values.values()))

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests whose p-value is below alpha over the number of tests."""
        level = self.alpha / len(self.p_values)
        return tuple(name for name, p_value in self.p_values.items() if p_value < level)

    @cached_property
    def departures(self) -> dict[str, Departure]:
        """How the posterior differs from the true values, by each test that failed."""
        ranks = dict(zip(self.names, self.ranks.T, strict=True))
        joint = {"coverage": self.credibility, "TARP": self.tarp, "TARP given x": self.tarp_given_x}
        return {
            name: parameter_departure(ranks[name], self.ess)
            if name in ranks
            else coverage_departure(joint[name])
            for name in self.failed
        }

    @property
    def judgement(self) -> Verdict:
        """Which tests fail, which way and what to do; or whether there was enough to judge."""
        if self.failed:
            told = {name: d for name, d in self.departures.items() if name in self.names}
            told = told or {f"{name}:": d for name, d in self.departures.items()}
            words = [f"{name} {departure.words}" for name, departure in told.items()]
            if len(words) > MAX_TOLD:
                words[MAX_TOLD:] = [f"{len(words) - MAX_TOLD} more parameters"]
            text = f"posterior not calibrated: {', '.join(words)} (fails: {', '.join(self.failed)})"
            narrow = any(departure.overconfident for departure in told.values())
            return Verdict(Grade.PROBLEM, text, what_to_do(narrow))
        if self.enough:
            return Verdict(Grade.GOOD, "posterior consistent with calibration")
        return Verdict(Grade.NOT_ASSESSED, f"calibration {TOO_FEW}", RAISE_SAMPLES)

    def result(self, name: str) -> Verdict:
        """Return the verdict of one test."""
        if name in self.failed:
            return Verdict(Grade.PROBLEM, f"fails: {self.departures[name].words}")
        if self.enough:
            return Verdict(Grade.GOOD, CONSISTENT)
        return Verdict(Grade.NOT_ASSESSED, TOO_FEW)

    @property
    def resolution(self) -> float:
        """The smallest departure that n simulations detect, between 0 and 1.

        At least half of the departures of this size are flagged, nearly all 1.5 times as large.
        """
        return detected_departure(self.n, len(self.p_values), self.alpha)

    def describe(self) -> str:
        """Return the verdict, the p-value of each test, and what could have been detected."""
        level, tests = self.alpha / len(self.p_values), len(self.p_values)
        width = max(map(len, self.p_values))
        lines = [
            f"{self.verdict}, by {self.n} simulations {self.scope}",
            *(
                f"  {name:<{width}}  p = {p_value:.3g}"
                + f"  {self.result(name).text}" * (name in self.failed)
                for name, p_value in self.p_values.items()
            ),
            f"  a test fails below p = {level:.2g}; a correct posterior passes all {tests} "
            f"with probability {1 - self.alpha:g} or more",
            f"  departures of {self.resolution:.2f} of a transform's distribution are detected",
            f"  effective sample size {self.ess:.0f} per observation",
        ]
        if not self.enough:
            lines[-1] += f", {self.min_ess:.0f} needed: {RAISE_SAMPLES}"
        if self.failed:
            lines.append(f"  what to do: {self.judgement.advice}")
        return "\n".join(lines)

    def _table(self) -> Rows:
        rows = [
            (name, f"{p_value:.3g}", self.result(name).text)
            for name, p_value in self.p_values.items()
        ]
        return [("test", "p-value", "result"), *rows]


@checked
def check(
    posterior: Checkable | HasPotential | Samples,
    held_out: Simulations,
    *,
    seed: int | None = None,
    importance_samples: int = 8192,
    draws: int | None = None,
    alpha: float = 0.01,
) -> Checks:
    """Compare the posteriors of held-out simulations with the parameters that made them.

    Args:
        posterior: A posterior of any observation; its prior is what the verdict is over. It weights
            importance samples by its ratio (`log_ratio`, `weighted`), or has `sample(n, x_obs,
            seed=)`; where it has no `log_prob` either, coverage is by nearest neighbours. One that
            sbi has trained is taken as it is; and so are draws that anything has made of the
            posteriors of the held-out simulations, (m, n, D) or a list of m arrays.
        held_out: Simulations from that prior that the posterior was not fitted to. Failed ones are
            left out: the verdict is over what the simulator returns.
        seed: Of samples, reference points and the breaking of ties.
        importance_samples: Draws from the prior that represent a posterior known by its ratio.
            Where a flow proposes, as in `Pool`, a sixteenth as many of each observation. Where too
            few of them count to judge it, draws of the posterior take their place.
        draws: Draws of each observation's posterior that represent it. By default 256 where the
            posterior has no ratio; a number takes draws where it has one, too.
        alpha: The probability at most that a right posterior fails.

    Raises:
        ValueError: If no simulation is valid, if names or shapes differ from the posterior's, if
            parameters lie outside its prior, or if its ratios are not numbers.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference.draws import WeightedDraws
        >>> class Exact:  # x = theta + noise: theta given x is N(x / 2, 1 / 2)
        ...     prior = lfi.simulation.as_prior({"theta": Normal(0.0, 1.0)})
        ...     names, x_shape = ("theta",), (1,)
        ...     def log_ratio(self, theta, x):
        ...         return -(x - theta).square().sum(-1) / 2
        ...     def weighted(self, x, n, *, seed):
        ...         theta = self.prior.sample(n, seed=lfi.runtime.seeds.numpy_rng(seed))
        ...         return WeightedDraws(theta, self.log_ratio(theta, x[:, None]))
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1),
        ...                           prior=Exact.prior)
        >>> checks = check(Exact(), lfi.simulate(simulator, 200, seed=1), seed=2,
        ...                importance_samples=512)
        >>> checks.ok, list(checks.p_values)
        (True, ['theta', 'coverage', 'TARP', 'TARP given x'])
    """
    if importance_samples < 2:
        raise ValueError(f"importance_samples must be at least 2, got {importance_samples}")
    check_share("alpha", alpha)
    check_counts(importance_samples=importance_samples)
    check_whole("draws", draws, optional=True)
    if draws is not None and draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}")
    seed = fresh(seed)
    posterior, draws = as_checkable(posterior, held_out, draws)
    theta, x = valid_rows(posterior, held_out)
    prior, m, d = posterior.prior, len(theta), posterior.prior.dim

    sample = prior.sample(PRIOR_SAMPLE, seed=numpy_rng(seed, 0))
    anywhere = scores_among(prior.sample(m, seed=numpy_rng(seed, 1)), sample)
    predicted = predict_left_out(x.reshape(m, -1), scores_among(theta, sample))
    u = torch.rand(m, d + 3, generator=torch_rng(seed, 2), dtype=torch.float64)

    columns = (*prior.names, "coverage", "TARP", "TARP given x")
    transforms, ess = torch.empty_like(u), u.new_empty(m)
    for chunk in weighted_posteriors(
        posterior,
        theta,
        x,
        importance_samples=importance_samples,
        draws=draws,
        seed=child(seed, 3),
        min_ess=needed_ess(m, len(columns), alpha),
    ):
        rows = chunk.rows
        assert chunk.log_density is not None  # since densities are asked for
        scores = chunk.map(lambda theta: scores_among(theta, sample))
        quantities = (
            *chunk.theta.unbind(-1),
            -chunk.log_density,
            (scores - anywhere[rows, None]).norm(dim=-1),
            (scores - predicted[rows, None]).norm(dim=-1),
        )
        masses = [_mass_below(q, chunk.weights, u[rows, t]) for t, q in enumerate(quantities)]
        transforms[rows], ess[rows] = torch.stack(masses, dim=1), chunk.ess

    p_values = {
        name: float(scipy.stats.kstest(column.numpy(), "uniform").pvalue)
        for name, column in zip(columns, transforms.T, strict=True)
    }
    levels = torch.linspace(0, 1, 101, dtype=torch.float64)
    coverage = (transforms[:, d:, None] <= levels).double().mean(dim=0)
    return Checks(
        names=prior.names,
        ranks=transforms[:, :d],
        credibility=transforms[:, d],
        tarp=transforms[:, d + 1],
        tarp_given_x=transforms[:, d + 2],
        levels=levels,
        coverage=coverage[0],
        tarp_coverage=coverage[1],
        tarp_given_x_coverage=coverage[2],
        p_values=p_values,
        ess=float(ess.median()),
        alpha=float(alpha),
        seed=seed,
        scope=scope_of(prior),
    )


def detected_departure(n: int, tests: int, alpha: float) -> float:
    """Return the distance of a distribution function at which one of several tests fails."""
    return float(scipy.stats.kstwo.isf(alpha / tests, n))


def needed_ess(n: int, tests: int, alpha: float) -> float:
    """Return the effective sample size that n observations need to be judged by."""
    return max(MIN_ESS, 1 / detected_departure(n, tests, alpha))


def _mass_below(
    quantity: Float[Tensor, "m c"], weights: Float[Tensor, "m c"], u: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Return the weight of what is below the first column, and the share u of its ties."""
    first = quantity[:, :1]
    below = (weights * (quantity < first)).sum(dim=1)
    tied = (weights * (quantity == first)).sum(dim=1)
    return (below + u * tied).clamp(max=1.0)  # sums of weights are 1 up to rounding
