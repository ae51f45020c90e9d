"""Posteriors that are weighted samples of parameters, without a density."""

import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.arviz import draws_of, inference_data, prior_draws
from lfi.inference.draws import Draws
from lfi.numerics import effective_sample_size
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_counts
from lfi.runtime import Described, child, fresh, numpy_rng, torch_rng
from lfi.simulation import Prior, as_simulator, replicate

if TYPE_CHECKING:
    import arviz


class DiscretePosterior(Described):
    """A finite set of weighted parameters, without a density; draws bear the name `sampler`."""

    prior: Prior
    normalised: ClassVar[None] = None
    sampler: ClassVar[str]

    @abstractmethod
    def observation(self, x_obs: Samples | None = None) -> Float[Tensor, "..."]:
        """Return the observation as a tensor; ValueError if the posterior is not defined for it."""

    @abstractmethod
    def weighted_parameters(
        self, x_obs: Samples | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Return the parameters and their weights, which sum to 1."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names

    @checked
    def draw(self, n: int, x_obs: Samples | None = None, *, seed: int | None = None) -> Draws:
        """Return n draws by weight, with replacement, and diagnostics of how they were made.

        Raises:
            ValueError: If n is not positive, or the posterior is not defined for the observation.
        """
        check_counts(n=n)
        seed, begin = fresh(seed), time.monotonic()
        theta, weights = self.weighted_parameters(x_obs)
        rows = torch.multinomial(weights, n, replacement=True, generator=torch_rng(seed))
        return Draws(
            theta=theta[rows],
            names=self.names,
            sampler=self.sampler,
            ess=min(float(effective_sample_size(weights.log())), float(n)),
            proposals=len(theta),
            seconds=time.monotonic() - begin,
            seed=seed,
        )

    @checked
    def sample(
        self, n: int, x_obs: Samples | None = None, *, seed: int | None = None
    ) -> Float[Tensor, "n dim"]:
        """Return n draws by weight, with replacement; see `draw`."""
        return self.draw(n, x_obs, seed=seed).theta

    def log_prob(
        self,
        theta: Float[Tensor, "n dim"],
        x_obs: Samples | None = None,
        *,
        normalise: bool = False,
    ) -> Float[Tensor, " n"]:
        """Raise NotImplementedError: weighted parameters have no density."""
        raise NotImplementedError(
            f"{type(self).__name__} is a finite set of weighted parameters and has no density: "
            "lfi.fit_posterior returns posteriors that have one"
        )

    @checked
    def to_arviz(
        self,
        x_obs: Samples | None = None,
        *,
        draws: int | Draws = 2_000,
        simulator: object = None,
        seed: int | None = None,
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData: posterior, prior and observed data.

        `draws` are how many, or those that `draw` has returned. A simulator adds data simulated at
        the draws, `posterior_predictive`. Without a seed, fresh entropy is taken, which the group
        `posterior` records.
        """
        seed = fresh(seed)
        if isinstance(draws, Draws):
            (drawn,) = draws_of(draws, self.names, 1)
        else:
            check_counts(draws=draws)
            drawn = replace(self.draw(draws, x_obs, seed=child(seed, 0)), seed=seed)
        prior, truncated = prior_draws(self.prior, len(drawn), numpy_rng(seed, 1))
        predictive = None
        if simulator is not None:
            predictive = replicate(as_simulator(simulator), drawn.theta, seed=child(seed, 2))
        return inference_data(drawn, prior, self.observation(x_obs), predictive, truncated)
