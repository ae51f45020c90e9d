"""Posteriors known by draws at least: draws of one or many observations, posterior predictive.

A posterior is a function of x, so all methods take one observation, (*event), or many, (m, *event),
which then share one call of the network. Those with a density are in `base`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.arviz import draws_of, inference_data, prior_draws
from lfi.inference.draws import Draws
from lfi.inference.samplers.target import Sampler
from lfi.inference.training_reference import TrainingReference
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observations, as_tensor
from lfi.numerics.checks import check_counts
from lfi.runtime import Described, child, fresh, numpy_rng
from lfi.simulation import Prior, as_simulator, replicate
from lfi.training import History, StageSteps

if TYPE_CHECKING:
    import arviz


class DrawnPosterior(Described, ABC):
    """A posterior that can be drawn from, for any observation.

    `normalised` says whether `log_prob` integrates to one as it comes, None where there is no
    density, `x_shape` is that of one simulation's x, and `training_reference` what observations are
    checked against, or None.
    """

    prior: Prior
    normalised: bool | None
    x_shape: tuple[int, ...]
    training_reference: TrainingReference | None = None
    history: tuple[History, ...] = ()

    @abstractmethod
    def _drawn(
        self, x: Float[Tensor, "m ..."], n: int, sampler: Sampler | None, seed: int
    ) -> tuple[Draws, ...]:
        """Return draws, with warnings: whatever is public draws here."""

    @abstractmethod
    def log_prob(
        self, theta: Samples, x_obs: Samples, *, normalise: bool = False
    ) -> Float[Tensor, "*m n"]:
        """Return the log density of parameters; NotImplementedError where there is none."""

    def check_observations(self, x: Float[Tensor, "m ..."]) -> None:
        """Warn with `Misspecified` of observations that are unlike every simulation."""
        if self.training_reference is not None:
            self.training_reference.warn(x)

    @property
    def stages(self) -> tuple[StageSteps, ...]:
        """What was done in each stage of a fit with limited time, to repeat it by `stages=`."""
        return tuple(stage for entry in self.history for stage in entry.stages)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @property
    def takes_missing(self) -> bool:
        """Whether entries of an observation may be missing, NaN."""
        return False

    def _finite(self, name: str, x_obs: Samples) -> Tensor:
        """Return data whose missing entries are fit for this posterior, or raise ValueError."""
        x = as_tensor(name, x_obs)
        missing = int(x.isnan().sum())
        if missing and not self.takes_missing:
            raise ValueError(
                f"{name} holds {missing} values that are not finite but missing (NaN), and this "
                "posterior was fitted to complete x: fit one to lfi.with_missing(simulations)"
            )
        return x

    @checked
    def observations(self, x_obs: Samples) -> tuple[Float[Tensor, "m ..."], bool]:
        """Return x_obs in its dtype, (m, *event), and whether it was one; ValueError if unfit."""
        x = self._finite("x_obs", x_obs)
        return as_observations(x, self.x_shape, missing=self.takes_missing)

    @checked
    def sample(
        self, n: int, x_obs: Samples, *, seed: int | None = None, sampler: Sampler | None = None
    ) -> Float[Tensor, "*m n theta_dim"]:
        """Return n draws inside the prior's support, in random order.

        Args:
            n: How many, of each observation.
            x_obs: One observation, (*event), or many, (m, *event).
            seed: None takes fresh entropy.
            sampler: How; see `draw`.

        Returns:
            (n, theta_dim) for one observation, (m, n, theta_dim) for many.

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 400, seed=1)
            >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
            >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
            >>> posterior.sample(100, influenza.x_obs, seed=2).shape
            torch.Size([100, 3])
            >>> posterior.sample(100, simulations.x[:5], seed=2).shape
            torch.Size([5, 100, 3])
        """
        drawn = self.draw(n, x_obs, seed=seed, sampler=sampler)
        if isinstance(drawn, Draws):
            return drawn.theta
        return torch.stack([draws.theta for draws in drawn])

    @checked
    def draw(
        self, n: int, x_obs: Samples, *, seed: int | None = None, sampler: Sampler | None = None
    ) -> Draws | tuple[Draws, ...]:
        """Return n draws of each observation, with diagnostics of how they were made.

        Args:
            n: How many, of each observation.
            x_obs: One observation, (*event), or many, (m, *event).
            seed: None takes fresh entropy, which the draws record.
            sampler: None takes the posterior's `default_sampler`: independent draws of a flow or a
                generator, and else `lfi.samplers.Automatic()`, importance resampling followed by
                chains where Pareto k is above 0.7 or the effective sample size below 2 n. The
                others are in `lfi.samplers`; each has a `time_limit`.

        Warns:
            UnreliableDraws: If Pareto k is above 0.7 and no chains replaced the weights, or R-hat
                is above 1.05; once for all observations.
            Misspecified: If an observation is unlike every simulation.

        Raises:
            ValueError: If n is not positive or the observation does not fit.
            TimeoutError: If time runs out before there are draws to return.
        """
        check_counts(n=n)
        x, single = self.observations(x_obs)
        drawn = self._drawn(x, n, sampler, fresh(seed))
        return drawn[0] if single else drawn

    @checked
    def predictive(
        self,
        n: int,
        x_obs: Samples,
        simulator: object,
        *,
        seed: int | None = None,
        sampler: Sampler | None = None,
    ) -> Float[Tensor, "..."]:
        """Return data simulated at n posterior draws, NaN in rows that raised.

        Returns:
            (n, *event) for one observation, (m, n, *event) for many.
        """
        seed, simulator = fresh(seed), as_simulator(simulator)
        theta = self.sample(n, x_obs, seed=child(seed, 0), sampler=sampler)
        x = replicate(simulator, theta.reshape(-1, self.prior.dim), seed=child(seed, 1))
        return x.reshape(*theta.shape[:-1], *x.shape[1:])

    @checked
    def to_arviz(
        self,
        x_obs: Samples,
        *,
        draws: int | Draws | Sequence[Draws] = 2_000,
        simulator: object = None,
        sampler: Sampler | None = None,
        seed: int | None = None,
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData: posterior, prior and observed data.

        ArviZ 1 has xarray's DataTree in its place. Draws are split into four chains, or three or
        two, where their number divides by it: ArviZ judges draws by comparing chains.

        Args:
            x_obs: One observation, (*event), or many, (m, *event), which then are a dimension
                `observation` of every variable.
            draws: How many, of each observation; or those that `draw` has returned for x_obs.
            simulator: Adds data simulated at the posterior's draws, `posterior_predictive`.
            sampler: How the draws are made; see `draw`.
            seed: None takes fresh entropy, which the group `posterior` records.

        Raises:
            ValueError: If the draws given are of other parameters, or not of each observation.
        """
        seed = fresh(seed)
        x, single = self.observations(x_obs)
        if isinstance(draws, Draws | Sequence):
            drawn = draws_of(draws, self.names, len(x))
        else:
            check_counts(draws=draws)
            drawn = self._drawn(x, draws, sampler, child(seed, 0))
            drawn = tuple(replace(each, seed=seed) for each in drawn)
        n = len(drawn[0])
        prior, truncated = prior_draws(self.prior, n, numpy_rng(seed, 1))
        predictive = None
        if simulator is not None:
            theta = torch.cat([each.theta for each in drawn])
            predictive = replicate(as_simulator(simulator), theta, seed=child(seed, 2))
            predictive = predictive.unflatten(0, (len(drawn), n))
        if single:
            drawn, x = drawn[0], x[0]
            predictive = None if predictive is None else predictive[0]
        return inference_data(drawn, prior, x, predictive, truncated)

    def describe(self) -> str:
        """Return what the posterior is of, and how it was trained."""
        event = " x ".join(map(str, self.x_shape)) or "one number"
        lines = [f"{type(self).__name__} of {', '.join(self.names)}, given x of {event}"]
        for history in self.history:
            lines += [f"  {line}" for line in history.describe().splitlines()]
        return "\n".join(lines)

    def as_parameters(self, theta: Samples) -> Float[Tensor, "n theta_dim"]:
        """Return theta in its floating dtype; ValueError unless (n, theta_dim) and no NaN."""
        given, theta = theta, as_tensor("theta", theta)
        if not (isinstance(given, Tensor) and theta.is_floating_point()):
            theta = theta.to(self.prior.dtype)
        if theta.ndim != 2 or theta.shape[1] != self.prior.dim:
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}, expected (n, {self.prior.dim}): "
                f"{', '.join(self.names)}"
            )
        missing = theta.isnan().any(1)
        if missing.any():
            raise ValueError(
                f"theta: {int(missing.sum())} of {len(theta)} rows hold NaN, the first is row "
                f"{int(missing.nonzero()[0])}"
            )
        return theta
