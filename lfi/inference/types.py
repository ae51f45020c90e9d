"""Posteriors, methods of inference, and draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.simulation import Prior, Simulations
from lfi.training import StepLimit

MIN_SIMULATIONS = 100  # valid simulations that a method needs


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


@runtime_checkable
class Posterior(Protocol):
    """A posterior distribution of a simulator's parameters.

    Attributes:
        prior: What the posterior is relative to, truncated where rounds have truncated it.
        normalised: Whether `log_prob` integrates to one as it comes; None where there is no
            density, and `log_prob` raises `NotImplementedError`.
    """

    @property
    def prior(self) -> Prior:
        """The prior."""
        ...

    @property
    def normalised(self) -> bool | None:
        """Whether densities integrate to one."""
        ...

    def log_prob(self, theta: Tensor, x_obs: Tensor, *, normalise: bool = False) -> Tensor:
        """Return the log density of theta, (n, theta_dim), given one observation."""
        ...

    def sample(self, n: int, x_obs: Tensor, *, seed: int | None = None) -> Tensor:
        """Return n draws, (n, theta_dim)."""
        ...

    def draw(self, n: int, x_obs: Tensor, *, seed: int | None = None) -> Draws | tuple[Draws, ...]:
        """Return n draws of each observation, with diagnostics of how they were made."""
        ...


@runtime_checkable
class Method(Protocol):
    """A method of inference from simulations.

    A true attribute `restorable` says that `lfi.load` rebuilds its posteriors from their file
    alone; `lfi.fit_rounds` keeps only those in a store. A true attribute `limitable` says that
    `fit` takes a `limit` too, a `lfi.training.StepLimit`, so that its time can be limited.
    """

    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> Posterior:
        """Return the posterior of the simulator's parameters.

        Args:
            simulations: At least 100 valid ones; a pool needs 200.
            x_obs: The observation, (*event), for methods that fit its posterior alone. Those of lfi
                are amortised: they fit the posterior for any observation, and ignore it.
            seed: None takes fresh entropy, which the posterior's history records.
            device: Where to train, such as "cuda".
            progress: Show a bar on a terminal.

        Raises:
            ValueError: If there are too few simulations.
        """
        ...


def limited_fit(name: str, method: Method, limit: StepLimit) -> Callable[..., Posterior]:
    """Return a method's `fit` within a limit; ValueError names the argument if it takes none."""
    fit: Callable[..., Posterior] = method.fit
    if not limit.exists:
        return fit
    if not getattr(method, "limitable", False):
        raise ValueError(
            f"{name}: the time of this {type(method).__name__} cannot be limited: call without "
            "minutes and stages"
        )
    return partial(fit, limit=limit)


def usable(simulations: Simulations) -> tuple[Tensor, Tensor]:
    """Return theta and x of the valid simulations; ValueError if there are too few."""
    theta, x = simulations.ok()
    if len(theta) < MIN_SIMULATIONS:
        raise ValueError(
            f"simulations: {len(theta)} valid ones are too few, need at least {MIN_SIMULATIONS}"
        )
    return theta, x
