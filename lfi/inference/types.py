"""Posteriors and methods of inference."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.simulation import Prior, Simulations
from lfi.training import Checkpoints, Fold, StepLimit

MIN_SIMULATIONS = 100  # valid simulations that a method needs


@runtime_checkable
class Posterior(Protocol):
    """A posterior distribution of a simulator's parameters: what every posterior of lfi can do.

    Those of `lfi.fit_posterior` and `lfi.fit_rounds` can do more (`lfi.inference.posteriors.drawn`
    and `base`): `predictive(n, x_obs, simulator)`, `to_arviz(x_obs)`, `save(path)`, `describe()`,
    and where there is a density `mode(x_obs)`, `log_ratio(theta, x)`, `trials()` for several
    independent draws of x and `condition({name: value})`. x_obs may be many observations there.
    Whatever has `prior` and `sample` is taken by `lfi.check` and `lfi.write_report`.

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
    `fit` takes a `limit` too, a `lfi.training.StepLimit`, so that its time can be limited; one of
    `resumable`, that it takes `checkpoints`, `lfi.training.Checkpoints`, from which an interrupted
    fit goes on; one of `takes_fold`, that it takes a `fold`, `lfi.training.Fold`, of the valid
    simulations to train on and of those to validate on.
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
            simulations: At least 100 valid ones; a pool needs 150.
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


def resumed_fit(
    method: Method, fit: Callable[..., Posterior], checkpoints: Checkpoints
) -> Callable[..., Posterior]:
    """Return a method's `fit` that goes on from checkpoints, if it can."""
    if checkpoints.folder is None or not getattr(method, "resumable", False):
        return fit
    return partial(fit, checkpoints=checkpoints)


def folded_fit(
    method: Method, fit: Callable[..., Posterior], simulations: Simulations, fold: Fold
) -> Callable[..., Posterior]:
    """Return a method's `fit` to a fold of the valid simulations.

    A method that takes no fold is fitted to those to train on alone, of which it may hold out some.
    Simulations that have failed are left to either.
    """
    if getattr(method, "takes_fold", False):
        return partial(fit, simulations, fold=fold)
    valid, failed = torch.where(simulations.valid)[0], torch.where(~simulations.valid)[0]
    return partial(fit, simulations[torch.cat([valid[fold.train], failed])])


def usable(simulations: Simulations, *, missing: bool = False) -> tuple[Tensor, Tensor]:
    """Return theta and x of the valid simulations; ValueError if there are too few.

    Or if entries of x are missing, unless they may be.
    """
    theta, x = simulations.ok(missing=missing)
    if len(theta) < MIN_SIMULATIONS:
        raise ValueError(
            f"simulations: {len(theta)} valid ones are too few, need at least {MIN_SIMULATIONS}"
        )
    return theta, x
