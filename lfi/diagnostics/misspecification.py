"""Misspecification: comparison of the observation with simulations from the prior.

At an observation unlike every simulation from the prior, a network's posterior is an extrapolation,
and its draws give no sign of it: calibration is over simulations, and the predictive check covers
only what the posterior reaches. So the observation itself is compared with simulations.

*Overall*, its distances to simulations are ranked among those of simulations held out
(`lfi.comparison.two_sample.outlier_test`): to nearest neighbours, by covariance and by the farthest
entry, in x and, where it is given, in the embedding of a posterior's network. The p-value is at
most alpha with probability alpha or less for an observation that the simulator has made, at any
dimension. It is over the prior: an observation at the prior's edge is rare, and is flagged.

*Each entry* has a two-sided p-value from its mid-rank among the n simulated values and itself, 2
min(F, 1 - F). It shows where a misfit is; among many entries some are small.

References:
    Schmitt et al., Detecting model misspecification in amortized Bayesian inference with neural
    networks, 2021. arXiv:2112.08866
    Cannon, Ward & Schmon, Investigating the impact of model misspecification in neural
    simulation-based inference, 2022. arXiv:2209.01845
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.two_sample.outlier_test import OutlierTest
from lfi.diagnostics.scores import two_sided
from lfi.diagnostics.verdict import Grade, Judged, Verdict
from lfi.inference.training_reference import Misspecified
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observations
from lfi.runtime import Rows, fresh, torch_rng
from lfi.runtime.calls import warn_caller
from lfi.simulation import Simulations

DOUBT_DATA = (
    "compare the data's units, order and missing values with the simulator's, and widen the model "
    "or the prior if they are right"
)


@dataclass(frozen=True, eq=False, repr=False)
class ObservationChecks(Judged):
    """How m observations lie among n simulations.

    Attributes:
        p_value: Of each observation, overall, (m,).
        ranks: Share of held-out simulations that lie nearer, by each of `kinds`, (kinds, m).
        entry_p_values: Two-sided, of each entry, (m, *event).
        lower: The smallest simulated value of each entry, (*event); `upper` the largest.
        central: The simulated values' 5% and 95% quantiles, (2, *event).
        alpha: The false-alarm rate at each observation.
    """

    x_obs: Float[Tensor, " m *event"]
    p_value: Float[Tensor, " m"]
    ranks: Float[Tensor, "k m"]
    kinds: tuple[str, ...]
    entry_p_values: Float[Tensor, " m *event"]
    lower: Float[Tensor, "*event"]
    upper: Float[Tensor, "*event"]
    central: Float[Tensor, " two *event"]
    n: int
    alpha: float
    seed: int

    @property
    def failed(self) -> tuple[int, ...]:
        """Numbers of the observations that are unlike the simulations."""
        return tuple((self.p_value < self.alpha).nonzero()[:, 0].tolist())

    def outside(self, observation: int = 0) -> tuple[int, ...]:
        """Return the flat numbers of an observation's entries beyond all simulated values."""
        x = self.x_obs[observation]
        return tuple(((x < self.lower) | (x > self.upper)).flatten().nonzero()[:, 0].tolist())

    @property
    def judgement(self) -> Verdict:
        """Whether the observations are like simulations."""
        m, odd = len(self.p_value), len(self.failed)
        which = "observation" if m == 1 else f"{odd or m} of {m} observations"
        if not odd:
            return Verdict(Grade.GOOD, f"{which} consistent with the simulations")
        return Verdict(Grade.PROBLEM, f"{which} unlike the simulations", DOUBT_DATA)

    def describe(self, max_items: int = 5) -> str:
        """Return the verdict and the entries unlike the simulations, `max_items` of each."""
        m = len(self.p_value)
        lines = [f"{self.verdict}, by {self.n} of these: p = {float(self.p_value.min()):.3g}"]
        if m > 1:
            lines[0] += f" at least (p < {self.alpha:g} fails; {self.alpha * m:.3g} expected)"
        for i in self.failed[:max_items]:
            if m > 1:
                lines.append(f"  observation {i}: p = {self.p_value[i]:.3g}")
            kind = self.kinds[int(self.ranks[:, i].argmax())]
            share = float(self.ranks[:, i].max())
            lines.append(f"  {share:.2%} of held-out simulations are less far out ({WORDS[kind]})")
            lines += self._entries(i, max_items)
        return "\n".join(lines)

    def _entries(self, i: int, max_entries: int) -> list[str]:
        x, low, high = (t.flatten().tolist() for t in (self.x_obs[i], self.lower, self.upper))
        index = [tuple(place) for place in torch.ones(self.lower.shape).nonzero().tolist()]
        lines = [
            f"  entry {_name(index[e])} = {x[e]:.4g} is {'below' if x[e] < low[e] else 'above'} "
            f"all simulations, which lie in [{low[e]:.4g}, {high[e]:.4g}]"
            for e in self.outside(i)[:max_entries]
        ]
        more = len(self.outside(i)) - max_entries
        if more > 0:
            lines.append(f"  and {more} more entries lie outside")
        if not lines:
            e = int(self.entry_p_values[i].argmin())
            lines.append(
                f"  no entry is outside by itself, but their combination is unlikely; the least "
                f"likely is {_name(index[e])}, p = {float(self.entry_p_values[i].min()):.3g}"
            )
        return lines

    def _table(self) -> Rows:
        rows = [
            (i, f"{p_value:.3g}", ", ".join(map(str, self.outside(i)[:10])) or "none")
            for i, p_value in enumerate(self.p_value[:20].tolist())
        ]
        return [("observation", "p-value", "entries outside"), *rows]

    def warn(self) -> None:
        """Warn with `Misspecified` where an observation is unlike the simulations."""
        if self.failed:
            warn_caller(
                f"{self.describe()}\nThe posterior of such an observation is an extrapolation.",
                Misspecified,
            )


_IN = {"": "", " in the embedding": ", in the posterior's embedding"}
_BY = {
    "nearest": "distance to the nearest simulations",
    "mahalanobis": "distance by the simulations' covariance",
    "farthest": "the farthest entry",
}
WORDS = {kind + where: by + words for kind, by in _BY.items() for where, words in _IN.items()}


@checked
def check_observation(
    x_obs: Samples,
    simulations: Simulations,
    *,
    embed: Callable[[Tensor], Tensor] | None = None,
    seed: int | None = None,
    alpha: float = 0.01,
) -> ObservationChecks:
    """Test whether observations are like what the simulator makes under the prior.

    Args:
        x_obs: One observation, (*event), or many, (m, *event).
        simulations: From the prior, such as those that a posterior was fitted to. Failed ones are
            left out. No p-value is below 2 / n for n simulations up to 4,000.
        embed: Other features to compare, a function of a batch of x in float32, such as
            `posterior.critic.embed_x`: the summaries that the posterior uses.
        seed: Of the choice of held-out simulations.
        alpha: The probability at most that an observation of the simulator's is called unlike.

    Raises:
        ValueError: If shapes differ, an observation is not finite, or fewer than 20 simulations
            are valid.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> simulations = lfi.simulate(simulator, 2_000, seed=1)
        >>> checks = check_observation(torch.tensor([0.5, 0.1, 40.0]), simulations, seed=1)
        >>> checks.ok, checks.outside()
        (False, (2,))
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    seed = fresh(seed)
    _, x = simulations.ok()
    x_obs = as_observations(x_obs, tuple(x.shape[1:]), dtype=x.dtype)[0]
    embedded = None
    if embed is not None:
        embedded = torch.no_grad()(lambda rows: embed(rows.to(torch.float32)))
    rows = (t.double().reshape(len(t), -1) for t in (x, x_obs))
    novelty = OutlierTest.fit_from_data(x, embed=embedded, rng=torch_rng(seed, 0))
    return ObservationChecks(
        x_obs=x_obs,
        p_value=novelty.p_values(x_obs),
        ranks=novelty.ranks(x_obs),
        kinds=novelty.kinds,
        entry_p_values=two_sided(*rows).view_as(x_obs),
        lower=x.amin(dim=0),
        upper=x.amax(dim=0),
        central=x.sort(dim=0).values[[int(0.05 * len(x)), int(0.95 * len(x))]],
        n=len(x),
        alpha=float(alpha),
        seed=seed,
    )


def _name(place: tuple[int, ...]) -> str:
    return str(place[0]) if len(place) == 1 else str(place)
