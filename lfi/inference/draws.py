"""Draws of a posterior, and diagnostics of how they were made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of a posterior, and diagnostics of how they were made.

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


@dataclass(frozen=True)
class WeightedDraws:
    """Prior draws theta, (c, theta_dim), that all observations share, weighted for each.

    `log_weights` are (m, c), normalised over c.
    """

    theta: Float[Tensor, "c theta_dim"]
    log_weights: Float[Tensor, "m c"]
