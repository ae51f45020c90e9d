"""Posteriors amortised over observations: of several trials, or conditional on some parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.posteriors.base import TargetPosterior
from lfi.inference.samplers.target import Target
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.simulation import Prior
from lfi.simulation.priors.joint import ProductDistribution


class AmortisedPosterior(TargetPosterior):
    """A posterior of any observation, from which those of other conditions follow."""

    @checked
    def condition(self, values: Mapping[str, float]) -> "ConditionalPosterior":
        """Return the posterior of the other parameters, conditional on the values of some.

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 400, seed=1)
            >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
            >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
            >>> posterior.condition({"beta": 1.8}).names
            ('gamma', 'phi_inv')
        """
        return ConditionalPosterior.of(self, values)

    def trials(self) -> "TrialsPosterior":
        """Return the posterior given several independent draws of x: see `TrialsPosterior`.

        Example:
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 400, seed=1)
            >>> quick = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=20))
            >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
            >>> posterior.trials().sample(10, simulations.x[:4], seed=1).shape  # four outbreaks
            torch.Size([10, 3])
        """
        return TrialsPosterior(self)


@dataclass(frozen=True, eq=False, repr=False)
class TrialsPosterior(AmortisedPosterior):
    """The posterior given k independent draws of x at the same theta.

    The simulator makes one trial x; what is observed are k of them, (k, *event), or m observations
    of k trials, (m, k, *event). Trials are independent given theta, so their likelihoods multiply:

        log p(theta | x_1..k) = log p(theta) + sum_i log w(theta, x_i) + constant.

    The errors of a fitted log w add too. Their random part grows with sqrt(k), but what they have
    in common grows with k, as fast as the information does: the posterior narrows with 1 / sqrt(k)
    around a value whose bias stays. With many trials, fit a posterior to simulations of all of them
    (`lfi.Simulator(..., trials=k)`).
    """

    base: AmortisedPosterior
    normalised: bool = field(default=False, init=False)

    @property
    def prior(self) -> Prior:
        """The prior."""
        return self.base.prior

    @property
    def has_evidence(self) -> bool:
        """Whether the base's is known."""
        return self.base.has_evidence

    @property
    def takes_missing(self) -> bool:
        """Whether the base does."""
        return self.base.takes_missing

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one trial."""
        return self.base.x_shape

    def observations(self, x_obs: Samples) -> tuple[Float[Tensor, "m k ..."], bool]:
        """Return observations in their dtype, (m, k, *event), and whether it was a single one."""
        x, event = self._finite("x_obs", x_obs), self.x_shape
        x = as_observation(x, missing=self.takes_missing)
        single = x.ndim == 1 + len(event)
        if (
            x.ndim not in (1 + len(event), 2 + len(event))
            or x.shape[x.ndim - len(event) :] != event
        ):
            raise ValueError(
                f"x_obs has shape {tuple(x.shape)}, expected trials of shape {event}: "
                f"(k, *{event}), or (m, k, *{event}) for many observations"
            )
        if 0 in x.shape:
            raise ValueError(f"x_obs has shape {tuple(x.shape)}: it holds no trials")
        return (x[None] if single else x), single

    def check_observations(self, x: Float[Tensor, "m k ..."]) -> None:
        """Warn of trials that are unlike every simulation."""
        self.base.check_observations(x.flatten(0, 1))

    def target(self, x: Float[Tensor, "m k ..."]) -> Target:
        """Return the posteriors of m observations, (m, k, *event)."""
        m, k = x.shape[:2]
        base = self.base.target(x.flatten(0, 1))

        def pair(theta: Tensor, *x: Tensor) -> Tensor:
            """Sum the trials' weights, theta (m, n, D) with tensors of (m, 1, k, ...)."""
            trials = zip(*(part.unbind(2) for part in x), strict=True)
            return torch.stack([base.pair(theta, *trial) for trial in trials]).sum(0)

        parts = tuple(part.unflatten(0, (m, k)) for part in base.x)
        return Target(self.prior, parts, pair, rows=base.rows)


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalPosterior(AmortisedPosterior):
    """The posterior of some parameters, conditional on `values` of the others, by name."""

    base: AmortisedPosterior
    values: dict[str, float]
    prior: Prior
    normalised: bool = field(default=False, init=False)

    @classmethod
    def of(cls, base: AmortisedPosterior, values: Mapping[str, float]) -> "ConditionalPosterior":
        """Return the posterior conditional on some parameters' values.

        A ValueError says that a name is unknown, a value is outside the prior's support, nothing is
        left free, or the prior is not one of independent parameters.
        """
        prior, values = base.prior, {name: float(value) for name, value in values.items()}
        unknown = [name for name in values if name not in prior.names]
        if unknown:
            raise ValueError(f"values: no parameter {unknown[0]!r} among {', '.join(prior.names)}")
        if not isinstance(prior.distribution, ProductDistribution):
            raise ValueError(
                "condition needs a prior of independent parameters, a dictionary of distributions: "
                "this one is a joint distribution"
            )
        free = [i for i, name in enumerate(prior.names) if name not in values]
        if not free:
            raise ValueError("values: all parameters are conditioned on, none is left")
        for name, value in values.items():
            i = prior.names.index(name)
            if not float(prior.lower[i]) < value < float(prior.upper[i]):
                raise ValueError(
                    f"values: {name} = {value:g} is outside the prior's support, "
                    f"({float(prior.lower[i]):g}, {float(prior.upper[i]):g})"
                )
        return cls(base, values, prior.marginal([prior.names[i] for i in free]))

    @property
    def has_evidence(self) -> bool:
        """Whether the base's is known."""
        return self.base.has_evidence

    @property
    def takes_missing(self) -> bool:
        """Whether the base does."""
        return self.base.takes_missing

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of one simulation's x."""
        return self.base.x_shape

    def observations(self, x_obs: Samples) -> tuple[Float[Tensor, "m ..."], bool]:
        """Return observations as the posterior of all parameters takes them."""
        return self.base.observations(x_obs)

    def check_observations(self, x: Float[Tensor, "m ..."]) -> None:
        """Warn of observations that are unlike every simulation."""
        self.base.check_observations(x)

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations."""
        base = self.base.target(x)
        names = self.base.prior.names
        columns = torch.tensor([names.index(name) for name in self.prior.names])
        whole = torch.tensor(
            [self.values.get(name, 0.0) for name in names], dtype=self.base.prior.dtype
        )

        def pair(theta: Tensor, *x: Tensor) -> Tensor:
            full = whole.to(theta).expand(*theta.shape[:-1], -1)
            full = full.index_copy(-1, columns.to(theta.device), theta)
            return base.pair(full, *x)

        return Target(self.prior, base.x, pair, rows=base.rows)
