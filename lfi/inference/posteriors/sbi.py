"""The bridge to sbi, both ways: our posteriors in its samplers and checks, its own in ours.

`to_sbi` wraps a posterior as sbi's `NeuralPosterior`, so that `MCMCPosterior`, `VIPosterior`,
`run_sbc`, `run_tarp` and the like take it; its potential is log p(theta) + log w(theta, x).
`from_sbi` reads the weight of a trained posterior off its potential: the ratio of NRE, the
likelihood of NLE, the density of NPE over the prior's. NPE's flow is also the proposal.

sbi is imported where it is used, by its name: it is no dependency of lfi, nor are its types.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from lfi.inference.posteriors.conditional import AmortisedPosterior
from lfi.inference.samplers.target import Proposal, Target
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_tensor
from lfi.runtime import fresh, numpy_rng
from lfi.runtime.seeds import isolated
from lfi.simulation import Prior, as_prior

NeuralPosterior = Any  # sbi's, which need not be installed
ESTIMATORS = ("posterior_estimator", "likelihood_estimator", "ratio_estimator")  # of potentials


class PriorDistribution(Distribution):
    """A prior as sbi takes it: float32 vectors, drawn from torch's global generator."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        super().__init__(event_shape=torch.Size([prior.dim]), validate_args=False)
        draws = prior.sample(10_000, seed=numpy_rng(0)).to(torch.float32)
        self._mean, self._stddev = draws.mean(0), draws.std(0)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """None: it has no arguments of its own."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """The support of the prior, coordinate by coordinate."""
        lower, upper = (end.to(torch.float32) for end in (self.prior.lower, self.prior.upper))
        if not (lower.isfinite().any() or upper.isfinite().any()):
            return constraints.independent(constraints.real, 1)
        if lower.isfinite().all() and upper.isfinite().all():
            return constraints.independent(constraints.interval(lower, upper), 1)
        parts = []
        for low, high in zip(lower.tolist(), upper.tolist(), strict=True):
            ends = (abs(low) != float("inf"), abs(high) != float("inf"))
            parts.append(
                {
                    (False, False): constraints.real,
                    (True, False): constraints.greater_than(low),
                    (False, True): constraints.less_than(high),
                    (True, True): constraints.interval(low, high),
                }[ends]
            )
        return constraints.independent(constraints.cat(parts, -1, [1] * len(parts)), 1)

    @property
    def mean(self) -> Tensor:
        """The mean of many draws."""
        return self._mean

    @property
    def stddev(self) -> Tensor:
        """The standard deviations of many draws."""
        return self._stddev

    @property
    def variance(self) -> Tensor:
        """The variances of many draws."""
        return self._stddev.square()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw vectors, (*sample_shape, D)."""
        shape = torch.Size(sample_shape)
        theta = self.prior.sample(shape.numel(), seed=numpy_rng(_global_seed()))
        return theta.to(torch.float32).reshape(*shape, self.prior.dim)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, minus infinity outside the support."""
        return self.prior.log_prob(value).to(torch.float32)


@checked
def to_sbi(posterior: AmortisedPosterior, x_obs: Samples | None = None) -> NeuralPosterior:
    """Return a posterior as sbi's own kind, a `NeuralPosterior`, for its samplers and diagnostics.

    The result has `sample((n,), x=...)`, `sample_batched`, `log_prob` (unnormalised), `potential`
    and `map`, a `prior`, and `potential_fn` and `theta_transform` for sbi's other posteriors. Its
    draws are those of `lfi.samplers.Automatic`, seeded from torch's global generator as sbi's are.
    Several observations given to `set_x` are independent trials, as sbi has it, unless it is told
    otherwise.

    Args:
        posterior: Any posterior with a target.
        x_obs: The default observation, (*event).

    Raises:
        ModuleNotFoundError: If sbi is not installed.
    """
    base = import_module("sbi.inference.posteriors.base_posterior")
    potentials = import_module("sbi.inference.potentials.base_potential")
    prior = PriorDistribution(posterior.prior)

    class Potential(potentials.BasePotential):
        """log p(theta) + log w(theta, x) for sbi: of trials, or row by row."""

        def __call__(self, theta: Tensor, track_gradients: bool = True) -> Tensor:
            theta = torch.atleast_2d(torch.as_tensor(theta))
            x = self.x_o.reshape(-1, *posterior.x_shape).to(torch.float32)
            if not self.x_is_iid and len(x) == 1:
                x = x.expand(len(theta), *posterior.x_shape)
            with torch.set_grad_enabled(track_gradients):
                own = theta.to(posterior.prior.dtype)
                if self.x_is_iid:
                    weight = posterior.target(x).log_weight(own[None]).sum(0)
                else:
                    weight = posterior.target(x).log_weight(own[:, None])[:, 0]
                log_prior = posterior.prior.log_prob(own)
                value = torch.where(log_prior.isfinite(), log_prior + weight, -torch.inf)
                return value.to(torch.float32)

    class WrappedPosterior(base.NeuralPosterior):
        """A posterior of lfi with the interface of sbi."""

        def __init__(self) -> None:
            transform = import_module("sbi.utils").mcmc_transform(prior)
            super().__init__(Potential(prior, x_o=None), transform)
            self.prior = prior
            self._purpose = "It draws with lfi."
            if x_obs is not None:
                self.set_default_x(as_tensor("x_obs", x_obs)[None])

        def sample(
            self,
            sample_shape: Sequence[int] = (),
            x: Tensor | None = None,
            show_progress_bars: bool = False,
        ) -> Tensor:
            shape = torch.Size(sample_shape)
            data = self._x_else_default_x(x).reshape(-1, *posterior.x_shape)
            own, data = (posterior, data[0]) if len(data) == 1 else (posterior.trials(), data)
            theta = own.sample(shape.numel(), data, seed=_global_seed())
            return theta.to(torch.float32).reshape(*shape, -1)

        def sample_batched(
            self,
            sample_shape: Sequence[int],
            x: Tensor,
            max_sampling_batch_size: int = 10_000,
            show_progress_bars: bool = False,
        ) -> Tensor:
            shape = torch.Size(sample_shape)
            x = torch.as_tensor(x).reshape(-1, *posterior.x_shape)
            theta = posterior.sample(shape.numel(), x, seed=_global_seed())  # (m, n, D)
            return theta.transpose(0, 1).to(torch.float32).reshape(*shape, len(x), -1)

        def log_prob(
            self, theta: Tensor, x: Tensor | None = None, track_gradients: bool = False
        ) -> Tensor:
            return self.potential(theta, x, track_gradients)

    return WrappedPosterior()


@checked
def from_sbi(
    posterior: object, *, prior: object = None, x_shape: Sequence[int] | None = None
) -> "SbiPosterior":
    """Return a posterior trained by sbi as one of ours, for our samplers and checks.

    Args:
        posterior: What `inference.build_posterior()` has returned: by NPE, NLE, NRE or their kin.
        prior: The prior it was trained with, such as a dictionary with the parameters' names;
            that of sbi's posterior if None.
        x_shape: The shape of one simulation's x; what sbi's network says if None.

    Raises:
        ModuleNotFoundError: If sbi is not installed.
        ValueError: If it cannot be told what the prior or the shape of x is.
    """
    direct = import_module("sbi.inference.posteriors").DirectPosterior
    potential = getattr(posterior, "potential_fn", None)
    if potential is None:
        raise ValueError(
            f"posterior: a {type(posterior).__name__} has no potential; expected what sbi's "
            "build_posterior() returns"
        )
    if prior is None:
        prior = getattr(posterior, "prior", None) or potential.prior
    if prior is None:
        raise ValueError("prior: sbi's posterior does not know its own; give it")
    estimator = None
    for name in ESTIMATORS:
        estimator = getattr(potential, name, estimator)
    if x_shape is None:
        side = "input_shape" if hasattr(potential, "likelihood_estimator") else "condition_shape"
        x_shape = getattr(estimator, side, None)
    if x_shape is None:
        raise ValueError("x_shape: sbi's network does not tell the shape of x; give it")
    flow = estimator if isinstance(posterior, direct) else None
    return SbiPosterior(potential, as_prior(prior), tuple(x_shape), flow)


@dataclass(frozen=True, eq=False, repr=False)
class SbiPosterior(AmortisedPosterior):
    """A posterior trained by sbi.

    `potential` is sbi's log p(theta) + log w(theta, x), `flow` its estimator of the posterior
    density, the proposal of samplers, or None.
    """

    potential: Any
    prior: Prior
    x_shape: tuple[int, ...]
    flow: Any = None
    normalised: bool = field(default=False, init=False)

    @property
    def has_evidence(self) -> bool:
        """Whether it is no ratio: some of sbi's losses leave a function of x open."""
        return not hasattr(self.potential, "ratio_estimator")

    def target(self, x: Float[Tensor, "m ..."]) -> Target:
        """Return the posteriors of m observations, (m, *event)."""
        x = x.to(torch.float32)

        def pair(theta: Tensor, x: Tensor) -> Tensor:
            m, n = max(len(theta), len(x)), theta.shape[1]
            rows = theta.expand(m, n, -1).reshape(m * n, -1).to(torch.float32)
            data = x.expand(m, n, *self.x_shape).reshape(m * n, *self.x_shape)
            self.potential.set_x(data, x_is_iid=False)
            value = self.potential(rows, track_gradients=torch.is_grad_enabled())
            return value.reshape(m, n).to(theta) - self.prior.log_prob(theta)

        return Target(self.prior, (x,), pair, self._proposal(x))

    def _proposal(self, x: Float[Tensor, "m ..."]) -> Proposal | None:
        if self.flow is None:
            return None

        def draw(n: int, x: Tensor, rng: torch.Generator) -> Tensor:
            seed = int(torch.randint(2**63 - 1, (), generator=rng))
            with isolated(seed), torch.no_grad():
                return self.flow.sample(torch.Size([n]), condition=x).transpose(0, 1)

        def log_density(theta: Tensor, x: Tensor) -> Tensor:
            rows = theta.transpose(0, 1).to(torch.float32)
            return self.flow.log_prob(rows, condition=x[:, 0]).T

        return Proposal(x, draw, log_density)


@dataclass(eq=False)
class SbiSamples:
    """A posterior of sbi that is known by its own draws, such as one of flow matching."""

    posterior: NeuralPosterior
    prior: Prior

    @torch.no_grad()
    def sample(self, n: int, x_obs: Tensor, *, seed: int | None = None) -> Tensor:
        """Return n draws of one observation, (n, D), or of each of several, (m, n, D)."""
        x, quiet = x_obs.to(torch.float32), {"show_progress_bars": False}
        with isolated(fresh(seed)):
            if x_obs.ndim == 1:
                theta = self.posterior.sample((n,), x=x[None], **quiet)
            else:
                theta = self.posterior.sample_batched((n,), x=x, **quiet).transpose(0, 1)
        return theta.to(self.prior.dtype)


def judged_by_draws(posterior: NeuralPosterior) -> bool:
    """Return whether sbi's posterior has no density, likelihood or ratio that costs one call."""
    potential = getattr(posterior, "potential_fn", None)
    return not any(hasattr(potential, name) for name in ESTIMATORS)


def _global_seed() -> int:
    """Return a seed from torch's global generator, which sbi's own draws come from."""
    return int(torch.randint(2**63 - 1, (), generator=torch.default_generator))
