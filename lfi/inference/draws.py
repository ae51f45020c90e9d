"""Draws of a posterior, and diagnostics of how they were made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics import effective_sample_size
from lfi.numerics.arguments import checked
from lfi.numerics.inference_data import as_inference_data, draws_group
from lfi.numerics.intervals import highest_density_interval
from lfi.runtime import Described, Rows
from lfi.runtime.screens import aligned

if TYPE_CHECKING:
    import arviz
    import pandas

QUANTILES = (0.025, 0.5, 0.975)


@dataclass(frozen=True, eq=False, repr=False)
class Draws(Described):
    """Draws of a posterior, and diagnostics of how they were made.

    `draws["beta"]` are the draws of one parameter, and `len(draws)` is their number.

    Attributes:
        theta: The draws, (n, theta_dim), in random order, inside the prior's support.
        names: The parameters' names.
        sampler: Which sampler made them, such as "importance", "differential evolution", "smc".
        ess: The effective sample size.
        proposals: How many draws of a prior or proposal were weighted or accepted from.
        seconds: How long it took, all observations of the same call together.
        seed: The seed that repeats it.
        khat: Pareto k of the importance weights, where there are weights; above 0.7 they are not
            reliable alone.
        r_hat: R-hat of each parameter, nested where there are many chains; None without chains.
        acceptance: The share of proposed moves that chains accepted; None without chains.
        log_evidence: The log of the integral of prior times weight, where the sampler estimates it:
            log p(x_obs) where the weight is a likelihood; of a ratio it is a check, since that of
            an exact one is 0. None of a pool, and of a ratio known up to a constant or a function
            of x.
        timed_out: Whether time ran out, so that these are the best draws so far.

    Example:
        >>> theta = torch.linspace(0.0, 1.0, 101)[:, None]
        >>> lfi.Draws(theta, ("share",), "direct", ess=101.0, proposals=101, seconds=0.1, seed=1)
        101 draws of share by direct
          effective sample size 101, 101 unique, seed 1
          parameter  mean     sd   2.5%  97.5%
          share       0.5  0.293  0.025  0.975
    """

    theta: Float[Tensor, "n theta_dim"]
    names: tuple[str, ...]
    sampler: str
    ess: float
    proposals: int
    seconds: float
    seed: int
    khat: float | None = None
    r_hat: Float[Tensor, " theta_dim"] | None = None
    acceptance: float | None = None
    log_evidence: float | None = None
    timed_out: bool = False

    @cached_property
    def unique(self) -> int:
        """How many different draws there are."""
        return len(torch.unique(self.theta, dim=0))

    def __len__(self) -> int:
        return len(self.theta)

    @checked
    def __getitem__(self, name: str) -> Float[Tensor, " n"]:
        """Return the draws of one parameter; KeyError if there is none of the name."""
        if name not in self.names:
            raise KeyError(f"no parameter {name!r} among {', '.join(self.names)}")
        return self.theta[:, self.names.index(name)]

    @checked
    def marginal(self, names: Sequence[str]) -> "Draws":
        """Return the draws of some of the parameters, in the order asked for.

        Raises:
            ValueError: If there is no parameter of a name.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(f"names: no parameter {unknown[0]!r} among {', '.join(self.names)}")
        columns = [self.names.index(name) for name in names]
        return replace(
            self,
            theta=self.theta[:, columns],
            names=tuple(names),
            r_hat=None if self.r_hat is None else self.r_hat[columns],
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the draws as a data frame of pandas, a column for each parameter.

        Example:
            >>> theta = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
            >>> draws = lfi.Draws(theta, ("a", "b"), "direct", 2.0, 2, seconds=0.1, seed=1)
            >>> draws.to_pandas()["b"].tolist()
            [2.0, 4.0]
        """
        import pandas  # which xarray, and so ArviZ, needs

        return pandas.DataFrame(self.theta.numpy(force=True), columns=list(self.names))

    @checked
    def summary(self, *, mass: float = 0.94) -> "pandas.DataFrame":
        """Return mean, sd, quantiles and highest-density interval of each parameter, by name.

        `ess` is the effective sample size of all draws together, and `r_hat` there where chains
        made them.

        Args:
            mass: The share of the draws that the interval holds, the shortest that does.

        Raises:
            ValueError: If `mass` is not between 0 and 1.

        Example:
            >>> theta = torch.linspace(0.0, 1.0, 101)[:, None]
            >>> draws = lfi.Draws(theta, ("share",), "direct", 101.0, 101, seconds=0.1, seed=1)
            >>> float(draws.summary().loc["share", "50%"])
            0.5
        """
        import pandas

        theta = self.theta.double().numpy(force=True)
        lower, upper = highest_density_interval(theta, mass).T
        tail = 50 * (1 - mass)
        columns = {"mean": theta.mean(0), "sd": _sd(theta)}
        for level, values in zip(QUANTILES, np.quantile(theta, QUANTILES, axis=0), strict=True):
            columns[f"{100 * level:g}%"] = values
        columns |= {f"hdi_{tail:g}%": lower, f"hdi_{100 - tail:g}%": upper}
        columns["ess"] = np.full(len(self.names), self.ess)
        if self.r_hat is not None:
            columns["r_hat"] = self.r_hat.numpy(force=True)
        return pandas.DataFrame(columns, index=list(self.names))

    def to_arviz(self) -> "arviz.InferenceData":
        """Return the draws as ArviZ's group posterior: InferenceData, from ArviZ 1 on a DataTree.

        A posterior's `to_arviz(x_obs, draws=draws)` adds the prior and the observed data.

        Example:
            >>> theta = torch.linspace(0.0, 1.0, 100)[:, None]
            >>> draws = lfi.Draws(theta, ("share",), "direct", 100.0, 100, seconds=0.1, seed=1)
            >>> draws.to_arviz().posterior["share"].shape
            (4, 25)
        """
        group = draws_group(
            columns_by_name(self.theta, self.names), attributes=diagnostics_of(self)
        )
        return as_inference_data({"posterior": group})

    def describe(self) -> str:
        """Return how many, how they were made, and each parameter's mean, sd and 95% interval."""
        facts = [f"effective sample size {self.ess:,.0f}", f"{self.unique:,} unique"]
        facts += [] if self.khat is None else [f"Pareto k-hat {self.khat:.2f}"]
        facts += [] if self.r_hat is None else [f"R-hat at most {float(self.r_hat.max()):.3f}"]
        facts += ["time ran out"] * self.timed_out
        lines = [
            f"{len(self):,} draws of {', '.join(self.names)} by {self.sampler}",
            f"  {', '.join(facts)}, seed {self.seed}",
            *aligned(self._table()),
        ]
        return "\n".join(lines)

    def _table(self) -> Rows:
        theta = self.theta.double().numpy(force=True)
        low, _, high = np.quantile(theta, QUANTILES, axis=0)
        columns = zip(self.names, theta.mean(0), _sd(theta), low, high, strict=True)
        rows = [(name, *(f"{value:.4g}" for value in cells)) for name, *cells in columns]
        return [("parameter", "mean", "sd", "2.5%", "97.5%"), *rows]


def _sd(theta: Float[np.ndarray, "n theta_dim"]) -> Float[np.ndarray, " theta_dim"]:
    """Return unbiased standard deviations; NaN of a single draw."""
    if len(theta) > 1:
        return theta.std(0, ddof=1)
    return np.full(theta.shape[1], np.nan)


def columns_by_name(
    theta: Float[Tensor, "*m n theta_dim"], names: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " n *m"]]:
    """Return each parameter's draws by name; observations are the last dimension."""
    values = np.moveaxis(theta.numpy(force=True), -2, 0)
    return {name: values[..., i] for i, name in enumerate(names)}


def diagnostics_of(draws: Draws) -> dict[str, object]:
    """Return the diagnostics of draws as attributes."""
    facts = {
        "sampler": draws.sampler,
        "ess": draws.ess,
        "unique_draws": draws.unique,
        "pareto_k": draws.khat,
        "proposals": draws.proposals,
        "seed": draws.seed,
        "r_hat": None if draws.r_hat is None else draws.r_hat.tolist(),
        "acceptance": draws.acceptance,
        "log_evidence": draws.log_evidence,
        "timed_out": int(draws.timed_out),  # files know no booleans
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


@dataclass(frozen=True, repr=False)
class WeightedDraws(Described):
    """Prior draws theta, (c, theta_dim), that all observations share, weighted for each.

    `log_weights` are (m, c), normalised over c.
    """

    theta: Float[Tensor, "c theta_dim"]
    log_weights: Float[Tensor, "m c"]

    def describe(self) -> str:
        """Return how many draws are weighted, and how evenly."""
        sizes = effective_sample_size(self.log_weights)
        low, high = float(sizes.min()), float(sizes.max())
        return (
            f"{len(self.theta):,} prior draws weighted for {len(self.log_weights):,} observations"
            f"\n  effective sample sizes {low:,.1f} to {high:,.1f}"
        )
