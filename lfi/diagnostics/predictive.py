"""Posterior predictive check: the observation among n replicates drawn from the posterior.

*Each entry* has a two-sided p-value from its mid-rank among the n + 1 values, 2 min(F, 1 - F) with
F = (number below + half the number equal, itself included) / (n + 1), which treats both sides alike
where counts are tied. It shows where a misfit is; among many entries some are small.

*Overall*, each of the n + 1 rows has two discrepancies, and the p-value is that of the larger rank:

    distance   z' C^-1 z, z the normal scores of the row's entries among their columns, C the rows'
               covariance, shrunk after Ledoit and Wolf: detects unlikely combinations
    farthest   the largest |x - mean| / sd of the row's entries: detects one entry far out, which
               ranks cannot tell from one just outside

*Test quantities* of the user's own, T(x) or T(x, theta), have the same two-sided p-value, where
T(x_obs, theta_i) is compared with T(x_i, theta_i) at each draw theta_i. With k of them, each and
the overall test fail below alpha / (1 + k).

The observation enters ranks, means and covariance as each replicate does: the p-value of a row from
the same distribution is uniform on {1, ..., n + 1} / (n + 1), or larger where there are ties. The
posterior was fitted to the observation, so p-values are conservative (Meng 1994): a small one is
evidence against the model, a large one is little evidence for it.

References:
    Gelman, Meng & Stern, Posterior predictive assessment of model fitness, Statistica Sinica 1996.
    Meng, Posterior predictive p-values, Annals of Statistics 1994.
    Ledoit & Wolf, A well-conditioned estimator for large covariance matrices, J. Mult. Anal. 2004.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from lfi.diagnostics.scores import normal_scores, two_sided
from lfi.diagnostics.verdict import Grade, Judged, Verdict
from lfi.diagnostics.weighted_posterior import HasSamples, sample_posteriors
from lfi.inference.draws import Draws
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation, as_sample, as_tensor
from lfi.numerics.checks import check_share, check_whole
from lfi.runtime import Rows, child, fresh, torch_rng
from lfi.simulation import Simulator, as_simulator, replicate

DOUBT_MODEL = (
    "see which entries differ from their replicates: the model may lack something, or the "
    "posterior be wrong (lfi.check)"
)
Statistic = Callable[[Tensor], Tensor]
PairDiscrepancy = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class PredictiveQuantity:
    """A test quantity of the observation and of the replicates, with a two-sided p-value.

    `observed` is T(x_obs, theta_i), (n,), equal for all i where T is of the data alone;
    `replicated` is T(x_i, theta_i), (n,).
    """

    observed: Float[Tensor, " n"]
    replicated: Float[Tensor, " n"]
    p_value: float

    @property
    def summary(self) -> tuple[str, str, str]:
        """The observed mean and the central 90% of the replicates, as text."""
        low, high = self.replicated.quantile(self.replicated.new_tensor([0.05, 0.95])).tolist()
        return f"{self.observed.mean():.4g}", f"{low:.4g}", f"{high:.4g}"


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveCheck(Judged):
    """Replicates x of the data, by parameters theta, and the place of the observation x_obs.

    Attributes:
        entry_p_values: Two-sided, of each entry of the observation, (*event).
        distance: Joint discrepancy of the observation (first) and the replicates, (1 + n,).
        farthest: The farthest entry's discrepancy of the same rows, (1 + n,).
        p_value: Of the observation's discrepancies, overall.
        failed: How many simulations raised or were not finite; not among x.
        alpha: The false-alarm rate of `ok`.
        quantities: The user's own test quantities, by name.
    """

    theta: Float[Tensor, "n d"]
    x: Float[Tensor, " n *event"]
    x_obs: Float[Tensor, "*event"]
    entry_p_values: Float[Tensor, "*event"]
    distance: Float[Tensor, " k"]
    farthest: Float[Tensor, " k"]
    p_value: float
    failed: int
    alpha: float
    seed: int
    quantities: dict[str, PredictiveQuantity] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many replicates the observation is compared with."""
        return len(self.x)

    @property
    def tests(self) -> dict[str, float]:
        """All p-values that `ok` is made of: "overall" and those of the test quantities."""
        named = {name: quantity.p_value for name, quantity in self.quantities.items()}
        return {"overall": self.p_value} | named

    @property
    def misfits(self) -> tuple[str, ...]:
        """Names of the tests whose p-value is below alpha over the number of tests."""
        level = self.alpha / (1 + len(self.quantities))
        return tuple(name for name, p_value in self.tests.items() if p_value < level)

    def bands(self, levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)) -> Tensor:
        """Return the replicates' quantiles at the levels, (len(levels), *event)."""
        return self.x.quantile(self.x.new_tensor(levels), dim=0)

    @property
    def judgement(self) -> Verdict:
        """Whether the observation is like data of the posterior, or which tests fail."""
        if not self.misfits:
            return Verdict(Grade.GOOD, "observation consistent with posterior predictions")
        which = f" ({', '.join(self.misfits)})" * bool(self.quantities)
        text = f"observation inconsistent with posterior predictions{which}"
        return Verdict(Grade.PROBLEM, text, DOUBT_MODEL)

    def describe(self) -> str:
        """Return the verdict, the least likely entry, and what was left out."""
        lines = [
            f"{self.verdict}: p = {self.p_value:.3g} among {self.n} replicates",
            f"  least likely of {self.entry_p_values.numel()} entries: number "
            f"{int(self.entry_p_values.argmin())}, p = {self.entry_p_values.min():.3g}",
        ]
        for name, quantity in self.quantities.items():
            observed, low, high = quantity.summary
            lines.append(
                f"  {name} = {observed}, of replicates 90% in [{low}, {high}]: "
                f"p = {quantity.p_value:.3g}" + "  fails" * (name in self.misfits)
            )
        if self.failed:
            lines.append(f"  {self.failed} simulations failed and were left out")
        return "\n".join(lines)

    def _table(self) -> Rows:
        result = {name: "fails" if name in self.misfits else "consistent" for name in self.tests}
        rows = [("overall", f"{self.p_value:.3g}", result["overall"], "", "")]
        for name, q in self.quantities.items():
            observed, low, high = q.summary
            rows.append((name, f"{q.p_value:.3g}", result[name], observed, f"{low} to {high}"))
        return [("test", "p-value", "result", "observed", "90% of replicates"), *rows]


@checked
def predictive_check(
    posterior: HasSamples | Draws | Samples,
    simulator: object,
    x_obs: Samples,
    *,
    statistics: Mapping[str, Statistic] | None = None,
    discrepancies: Mapping[str, PairDiscrepancy] | None = None,
    n: int = 2000,
    seed: int | None = None,
    alpha: float = 0.01,
    workers: int = 1,
    timeout: float | None = None,
) -> PredictiveCheck:
    """Simulate from posterior draws and compare with the observation.

    Args:
        posterior: The posterior, or draws of it given `x_obs`: a `Draws`, or parameters (k, D), of
            which n are chosen at random, each at most once where there are enough.
        simulator: The model of the observation: a `Simulator`, or a module with `prior` and
            `simulate`.
        x_obs: The observation.
        statistics: Test quantities by name, functions of data alone, (n, *event) to (n,).
        discrepancies: Test quantities by name, functions of data and the parameters behind them,
            (n, *event) and (n, D) to (n,).
        n: Number of replicates; no p-value is below 1 / (n + 1).
        seed: Of the draws and of the simulations.
        alpha: The probability at most that `ok` is False for a right model.
        workers: Processes that simulate.
        timeout: Seconds after which a call of the simulator is ended, and its replicates left out.

    Raises:
        ValueError: If the shapes of parameters or observation are not the simulator's, if the
            observation is not finite, if fewer than two simulations are finite, or if a test
            quantity is not one finite number for each row.
        RuntimeError: If the simulator raises at every draw.

    Example:
        >>> from torch.distributions import Normal
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3),
        ...                           prior={"mean": Normal(0.0, 1.0)})
        >>> theta = 1 + torch.randn(1000, 1) / 3**0.5
        >>> predictive_check(theta, simulator, [0.8, 1.1, 1.3], seed=1).ok
        True
        >>> predictive_check(theta, simulator, [-9.0, 1.1, 1.3], seed=1).ok
        False
        >>> extent = {"range": lambda x: x.amax(dim=1) - x.amin(dim=1)}
        >>> predictive_check(theta, simulator, [0.9] * 3, statistics=extent, seed=1).misfits
        ('range',)
    """
    (check,) = predictive_checks(
        posterior,
        simulator,
        as_observation(x_obs)[None],
        statistics=statistics,
        discrepancies=discrepancies,
        n=n,
        seed=seed,
        alpha=alpha,
        workers=workers,
        timeout=timeout,
    )
    return check


@checked
def predictive_checks(
    posterior: HasSamples | Draws | Samples,
    simulator: object,
    x_obs: Samples,
    *,
    statistics: Mapping[str, Statistic] | None = None,
    discrepancies: Mapping[str, PairDiscrepancy] | None = None,
    n: int = 500,
    seed: int | None = None,
    alpha: float = 0.01,
    workers: int = 1,
    timeout: float | None = None,
) -> tuple[PredictiveCheck, ...]:
    """Check many observations, each with its own posterior draws, by one call of the simulator.

    Draws are given as (m, k, D), the observations as (m, *event); `n` and `alpha` are for each of
    them. All else, with what it raises, is as in `predictive_check`.

    Example:
        >>> from torch.distributions import Normal
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3),
        ...                           prior={"mean": Normal(0.0, 1.0)})
        >>> theta = 1 + torch.randn(2, 1000, 1) / 3**0.5
        >>> x_obs = [[0.8, 1.1, 1.3], [-9.0, 1.1, 1.3]]
        >>> [check.ok for check in predictive_checks(theta, simulator, x_obs, seed=1)]
        [True, False]
    """
    x_obs = as_sample("x_obs", x_obs, min_rows=1)
    simulator, seed = as_simulator(simulator), fresh(seed)
    check_whole("n", n, minimum=2)
    check_share("alpha", alpha)
    if isinstance(posterior, HasSamples):
        theta = sample_posteriors(posterior, n, x_obs, seed=child(seed, 2))
    else:
        theta = as_tensor("posterior", getattr(posterior, "theta", posterior))
        theta = theta[None] if theta.ndim == 2 and len(x_obs) == 1 else theta
    if len(theta) != len(x_obs) or len(x_obs) == 0:
        raise ValueError(f"posterior: draws of {len(theta)} posteriors for {len(x_obs)} of x_obs")
    sets = [_chosen(draws, simulator, n, torch_rng(seed, 0, i)) for i, draws in enumerate(theta)]
    every = torch.cat(sets)
    x = replicate(simulator, every, seed=child(seed, 1), workers=workers, timeout=timeout)
    own = statistics or {}, discrepancies or {}, float(alpha), seed
    each = zip(sets, x.split(n), x_obs, strict=True)
    return tuple(_compared(draws, rows, row, *own) for draws, rows, row in each)


def _chosen(
    theta: Tensor, simulator: Simulator, n: int, rng: torch.Generator
) -> Float[Tensor, "n d"]:
    """Return n draws, each at most once where there are enough."""
    if theta.ndim != 2 or len(theta) == 0 or theta.shape[1] != simulator.prior.dim:
        raise ValueError(
            f"posterior: expected draws of {', '.join(simulator.names)}, "
            f"(n, {simulator.prior.dim}), got shape {tuple(theta.shape)}"
        )
    if n <= len(theta):
        return theta[torch.randperm(len(theta), generator=rng)[:n]]
    return theta[torch.randint(len(theta), (n,), generator=rng)]


def _compared(
    theta: Tensor,
    x: Tensor,
    x_obs: Tensor,
    statistics: Mapping[str, Statistic],
    discrepancies: Mapping[str, PairDiscrepancy],
    alpha: float,
    seed: int,
) -> PredictiveCheck:
    """Return the place of an observation among replicates."""
    if x.shape[1:] != x_obs.shape:
        raise ValueError(
            f"x_obs has shape {tuple(x_obs.shape)}, the simulator returns {tuple(x.shape[1:])}"
        )
    n, finite = len(x), x.reshape(len(x), -1).isfinite().all(dim=1)
    x, theta = x[finite], theta[finite]
    if len(x) < 2:
        raise ValueError(f"only {len(x)} of {n} simulations at theta are finite")

    rows = torch.cat([x_obs[None].to(x), x]).double().reshape(1 + len(x), -1)
    distance, farthest = _distance(rows), _farthest(rows)
    larger = torch.maximum(_share_below(distance), _share_below(farthest))
    repeated = x_obs.to(x).expand(len(x), *x_obs.shape)
    quantities = {
        name: _quantity(name, statistic(repeated), statistic(x))
        for name, statistic in statistics.items()
    } | {
        name: _quantity(name, discrepancy(repeated, theta), discrepancy(x, theta))
        for name, discrepancy in discrepancies.items()
    }
    return PredictiveCheck(
        theta=theta,
        x=x,
        x_obs=x_obs.to(x),
        entry_p_values=two_sided(rows[1:], rows[:1]).reshape(x_obs.shape),
        distance=distance,
        farthest=farthest,
        p_value=float((larger >= larger[0]).double().mean()),
        failed=n - len(x),
        alpha=alpha,
        seed=seed,
        quantities=quantities,
    )


def _quantity(name: str, observed: Tensor, replicated: Tensor) -> PredictiveQuantity:
    """Return a test quantity, once it is a number for each row."""
    for values in (observed, replicated):
        if values.shape != replicated.shape[:1] or not values.isfinite().all():
            raise ValueError(
                f"{name} must return one finite number for each of {len(replicated)} rows, got "
                f"shape {tuple(values.shape)}, {int((~values.isfinite()).sum())} not finite"
            )
    observed, replicated = observed.double(), replicated.double()
    less = (replicated - observed)[:, None]
    return PredictiveQuantity(observed, replicated, float(two_sided(less, less.new_zeros(1, 1))))


def _distance(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return the squared length of each row's normal scores under their shrunk covariance."""
    z = normal_scores(rows)
    z = z[:, (z != 0).any(dim=0)]  # entries that never change tell nothing
    if z.shape[1] == 0:
        return z.new_zeros(len(z))
    covariance, _ = ledoit_wolf(z.numpy(), assume_centered=True)
    return (z * torch.linalg.solve(torch.from_numpy(covariance), z.T).T).sum(dim=1)


def _farthest(rows: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return each row's largest deviation from its column's mean, in standard deviations."""
    sd, mean = torch.std_mean(rows, dim=0)
    return torch.where(sd > 0, (rows - mean).abs() / sd, 0.0).amax(dim=1)


def _share_below(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return for each value the share of values below it."""
    return torch.searchsorted(values.sort().values, values).double() / len(values)
