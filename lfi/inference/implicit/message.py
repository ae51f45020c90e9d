"""A message of expectation propagation by a density ratio.

Of a posterior that is a product of factors, expectation propagation replaces each by a Gaussian, in
turn: with the product of all other Gaussians, the cavity N(m, V), the tilted distribution

    p(theta) ∝ N(theta; m, V) t(theta)

has a mean and a covariance C, and the factor's Gaussian, its message, is what takes the cavity
there: precision C^-1 - V^-1, shift C^-1 mean - V^-1 m. For a factor that can only be simulated,
t(theta) = p(x | theta), ratios take the place of t (`lfi.inference.implicit.simulated_factor`), the
first of simulations whose theta are drawn from the cavity, the others of theta from around the
tilted distribution that the first has found.

References:
    Minka, Expectation propagation for approximate Bayesian inference, UAI 2001.
    Barthelme & Chopin, Expectation propagation for likelihood-free inference, 2014. arXiv:1107.5959
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.quasirandom import SobolEngine

from lfi.inference.implicit.simulated_factor import SimulatedFactor, simulated_factor
from lfi.inference.reliability import MAX_KHAT, UnreliableDraws
from lfi.inference.samplers.adaptive_importance import tempering_power
from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime import Described, child, fresh
from lfi.runtime.calls import warn_caller
from lfi.simulation import Simulator
from lfi.training import TrainSettings

MAX_ROUNDS = 20  # of proposals: the cavity, and then Gaussians of the moments found so far,
WIDER = 1.3  # times as wide in variance; weights are tempered
MIN_ESS = 20  # to an effective sample size of so many for each dimension, and as many more,
WHOLE_ROUNDS = 3  # and are not tempered in the last of these
FIRST = 0.25  # of the simulations are from the cavity,
AROUND = 4.0  # the others from a Gaussian of so many times the variance that these find,
GROUPS = 4  # in so many groups
MIN_SIMULATIONS = 400


@runtime_checkable
class HasLogRatio(Protocol):
    """What has a log ratio: a fitted ratio of theta, or a posterior, of theta and x."""

    log_ratio: Callable[..., Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class EPMessage(Described):
    """A factor's Gaussian exp(-theta' precision theta / 2 + shift' theta), and how it was found.

    Attributes:
        precision: (d, d); it need not be positive definite.
        shift: (d,).
        mean: The mean of the tilted distribution, (d,).
        covariance: Its covariance, (d, d).
        khat: Pareto k-hat of the importance weights that the moments are of.
        ess: Their effective sample size.
        mean_error: Standard errors of the mean, (d,), by the scatter of groups of simulations; 0 of
            a factor that is known.
        sd_error: Those of the standard deviations.
    """

    precision: Float[Tensor, "d d"]
    shift: Float[Tensor, " d"]
    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]
    khat: float
    ess: float
    mean_error: Float[Tensor, " d"]
    sd_error: Float[Tensor, " d"]

    def describe(self) -> str:
        """Return the moments of the tilted distribution, and their effective sample size."""
        word = "reliable" if self.khat <= MAX_KHAT else "not reliable"
        sd = self.covariance.diagonal().sqrt()
        return "\n".join(
            [
                f"message of {len(self.mean)} parameters: {word}, k-hat {self.khat:.2f}",
                f"  effective sample size {self.ess:.0f}",
                f"  tilted mean {_shown(self.mean, self.mean_error)}",
                f"  tilted standard deviations {_shown(sd, self.sd_error)}",
            ]
        )


def _shown(values: Tensor, errors: Tensor) -> str:
    pairs = zip(values.tolist(), errors.tolist(), strict=True)
    return ", ".join(f"{v:.4g}" + f" +- {e:.2g}" * (e > 0) for v, e in pairs)


@checked
def ep_message(
    cavity: MultivariateNormal,
    factor: Simulator | HasLogRatio | Callable[..., Tensor],
    x_obs: Samples | None = None,
    *,
    draws: int = 2**14,
    simulations: int = 10_000,
    settings: TrainSettings | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> EPMessage:
    """Return the Gaussian message of one factor, by the moments of cavity times factor.

    Args:
        cavity: The product of all other messages and the prior, a Gaussian of (d,).
        factor: A function of theta, (n, d), to log t up to a constant, (n,); a fitted ratio of
            theta; a ratio posterior; or a simulator, of which ratios are fitted to simulations: a
            quarter of parameters drawn from the cavity, the others from where these show the
            posterior to be.
        x_obs: The observation, of a posterior or a simulator.
        draws: How many draws of each proposal, and those that the moments are of.
        simulations: How many of a simulator, 400 at least. Errors of the moments, which the message
            tells, fall as the root of their number.
        settings: How critics of simulations train, as `lfi.fit_ratio` takes it; 400 steps of 512
            rows by default.
        seed: None takes fresh entropy.
        device: Where to train a ratio.
        progress: Show a bar on a terminal.

    Warns:
        UnreliableDraws: If Pareto k-hat of the weights is above 0.7.

    Raises:
        TypeError: If the cavity is no multivariate normal, or the factor none of the above.
        ValueError: If the factor returns another shape or nothing finite, or x_obs is missing.

    Example:
        >>> cavity = torch.distributions.MultivariateNormal(torch.zeros(1), torch.eye(1))
        >>> message = ep_message(cavity, lambda theta: -(theta[:, 0] - 2).square() / 2, seed=1)
        >>> round(message.precision.item(), 2), round(message.mean.item(), 2)
        (1.0, 1.0)
    """
    check_instance("cavity", cavity, MultivariateNormal)
    if cavity.batch_shape:
        raise ValueError(f"cavity is a batch of {tuple(cavity.batch_shape)} Gaussians, give one")
    check_whole("draws", draws, minimum=100)
    check_whole("simulations", simulations, minimum=MIN_SIMULATIONS)
    seed = fresh(seed)
    mean = cavity.loc.detach().cpu().double()
    covariance = cavity.covariance_matrix.detach().cpu().double()
    prior, dtype = MultivariateNormal(mean, covariance), cavity.loc.dtype
    whole: SimulatedFactor | None = None
    if isinstance(factor, Simulator):
        observed = _check_simulator(factor, prior, x_obs)
        simulator, x_obs, first = factor, None, round(FIRST * simulations)
        proposal, rest = prior, ((first, 1), (simulations - first, GROUPS))
        for index, (number, groups) in enumerate(rest):
            whole = simulated_factor(
                simulator,
                proposal,
                observed,
                number,
                groups,
                settings,
                seed=child(seed, MAX_ROUNDS, index),
                device=device,
                progress=progress,
            )
            factor = whole
            if index == 0:
                log_t = partial(_log_factor, whole, x_obs=None)
                found = _tilted(prior, log_t, draws, child(seed, MAX_ROUNDS, 2))
                proposal = MultivariateNormal(found.mean, _capped(AROUND * found.covariance, prior))

    def log_factor(theta: Tensor) -> Tensor:
        return _log_factor(factor, theta.to(dtype), x_obs).double()

    found = _tilted(prior, log_factor, draws, seed)
    if not found.khat <= MAX_KHAT:
        warn_caller(
            f"the moments of the factor are not reliable. Pareto k-hat is {found.khat:.2f}, above "
            f"{MAX_KHAT}: raise `draws`, or check the factor",
            UnreliableDraws,
        )
    mean_error, sd_error = _errors(found, whole)
    inverse, before = torch.linalg.inv(found.covariance), torch.linalg.inv(covariance)
    shift = inverse @ found.mean - before @ mean
    return EPMessage(
        precision=(inverse - before).to(dtype),
        shift=shift.to(dtype),
        mean=found.mean.to(dtype),
        covariance=found.covariance.to(dtype),
        khat=found.khat,
        ess=found.ess,
        mean_error=mean_error.to(dtype),
        sd_error=sd_error.to(dtype),
    )


@dataclass(frozen=True, eq=False)
class _Tilted:
    """Weighted points of a tilted distribution, and its moments."""

    theta: Float[Tensor, "n d"]
    log_weights: Float[Tensor, " n"]
    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]
    khat: float
    ess: float


def _tilted(
    prior: MultivariateNormal, log_factor: Callable[[Tensor], Tensor], draws: int, seed: int
) -> _Tilted:
    """Return the tilted distribution, by Gaussian proposals of the moments found so far."""
    own, whole = (prior.loc, prior.covariance_matrix), 0  # rounds whose weights were not tempered
    enough = MIN_ESS * (len(prior.loc) + 1)
    theta, smoothed, khat, ess = prior.loc[None], prior.loc[:1], 0.0, 0.0
    for index in range(MAX_ROUNDS):
        proposal = MultivariateNormal(own[0], own[1] * (WIDER if index else 1.0))
        theta = _normal_points(proposal, draws, child(seed, index))
        log_weights = prior.log_prob(theta) + log_factor(theta) - proposal.log_prob(theta)
        power = tempering_power(log_weights[None], enough)
        smoothed, shape = pareto_smooth(power * log_weights)
        khat, ess = float(shape), float(effective_sample_size(smoothed))
        own = _weighted_moments(theta, smoothed)
        whole += bool(power == 1)
        if whole >= WHOLE_ROUNDS:
            break
    if whole < WHOLE_ROUNDS:
        khat = math.inf  # the tilted distribution was not reached
    return _Tilted(theta, smoothed, *own, khat, ess)


def _weighted_moments(
    theta: Float[Tensor, "n d"], log_weights: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Return mean and covariance by normalised log weights."""
    weights = log_weights.exp()
    mean = weights @ theta
    apart = theta - mean
    return mean, (weights[:, None] * apart).T @ apart


def _errors(found: _Tilted, factor: SimulatedFactor | None) -> tuple[Tensor, Tensor]:
    """Return standard errors of means and deviations, by what each group alone would say."""
    if factor is None:
        return torch.zeros_like(found.mean), torch.zeros_like(found.mean)
    each = factor.each(found.theta)
    own = (found.log_weights + each - each.mean(0)).log_softmax(1)
    moments = [_weighted_moments(found.theta, weights) for weights in own]
    means = torch.stack([mean for mean, _ in moments])
    deviations = torch.stack([covariance.diagonal().sqrt() for _, covariance in moments])
    root = math.sqrt(len(own))
    return means.std(0) / root, deviations.std(0) / root


def _capped(covariance: Float[Tensor, "d d"], prior: MultivariateNormal) -> Float[Tensor, "d d"]:
    """Return a covariance that is nowhere larger than the prior's."""
    root = prior.scale_tril
    half = torch.linalg.solve_triangular(root, covariance, upper=False)
    within = torch.linalg.solve_triangular(root, half.T, upper=False)
    values, vectors = torch.linalg.eigh((within + within.T) / 2)
    wide = root @ vectors
    return (wide * values.clamp(max=1.0)) @ wide.T


def _normal_points(proposal: MultivariateNormal, n: int, seed: int) -> Float[Tensor, "n d"]:
    """Return n points of a scrambled Sobol sequence, mapped to a Gaussian."""
    d = len(proposal.loc)
    engine = SobolEngine(d, scramble=True, seed=seed % 2**31)
    engine.fast_forward(1)  # past a point that it rounds to the default dtype
    uniform = engine.draw(n, dtype=torch.float64)
    z = torch.special.ndtri(uniform.clamp(1e-12, 1 - 1e-12))
    return proposal.loc + z @ proposal.scale_tril.T


@torch.no_grad()
def _log_factor(
    factor: HasLogRatio | Callable[..., Tensor], theta: Tensor, x_obs: Samples | None
) -> Float[Tensor, " n"]:
    """Return log t at parameters; ValueError where it is not a number."""
    own = factor.log_ratio if isinstance(factor, HasLogRatio) else factor
    values = own(theta) if x_obs is None else own(theta, as_observation(x_obs))
    if not isinstance(values, Tensor) or values.shape != (len(theta),):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"factor must return one number a row, ({len(theta)},); it is {shape}")
    if values.isnan().any() or not values.isfinite().any():
        bad = int((~values.isfinite()).sum())
        raise ValueError(f"factor: its log is not finite at {bad} of {len(theta)} parameters")
    return values.cpu()


def _check_simulator(
    simulator: Simulator, cavity: MultivariateNormal, x_obs: Samples | None
) -> Tensor:
    """Return the observation; ValueError if there is none, or the cavity is of other parameters."""
    if x_obs is None:
        raise ValueError("x_obs is None: the factor of a simulator needs the observation")
    if simulator.prior.dim != len(cavity.loc):
        raise ValueError(
            f"cavity is of {len(cavity.loc)} parameters, and the simulator has "
            f"{simulator.prior.dim}: {', '.join(simulator.names)}"
        )
    return as_observation(x_obs)
