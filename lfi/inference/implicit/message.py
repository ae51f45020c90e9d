"""A message of expectation propagation by a density ratio.

Of a posterior that is a product of factors, expectation propagation replaces each by a Gaussian, in
turn: with the product of all other Gaussians, the cavity N(m, V), the tilted distribution

    p(theta) ∝ N(theta; m, V) t(theta)

has a mean and a covariance C, and the factor's Gaussian, its message, is what takes the cavity
there: precision C^-1 - V^-1, shift C^-1 mean - V^-1 m. For a factor that can only be simulated,
t(theta) = p(x | theta), a ratio of (theta, x) to shuffled pairs, fitted to simulations whose theta
are drawn from the cavity, takes the place of t: it is t up to a constant.

References:
    Minka, Expectation propagation for approximate Bayesian inference, UAI 2001.
    Barthelme & Chopin, Expectation propagation for likelihood-free inference, 2014. arXiv:1107.5959
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.quasirandom import SobolEngine

from lfi.inference.reliability import MAX_KHAT, UnreliableDraws
from lfi.inference.samplers.adaptive_importance import tempering_power
from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_instance, check_whole
from lfi.ratio import fit_ratio
from lfi.runtime import Described, child, fresh, numpy_rng
from lfi.runtime.calls import warn_caller
from lfi.simulation import Simulator, as_prior, replicate
from lfi.training import TrainSettings

MAX_ROUNDS = 20  # of proposals: the cavity, and then Gaussians of the moments found so far,
WIDER = 1.3  # times as wide in variance; weights are tempered
MIN_ESS = 20  # to an effective sample size of so many for each dimension, and as many more,
WHOLE_ROUNDS = 3  # and are not tempered in the last of these
SHUFFLED = 4  # pairs for each simulation
MEMBERS = 3  # critics
SETTINGS = TrainSettings(steps=800, batch_size=512)


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
    """

    precision: Float[Tensor, "d d"]
    shift: Float[Tensor, " d"]
    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]
    khat: float
    ess: float

    def describe(self) -> str:
        """Return the moments of the tilted distribution, and their effective sample size."""
        word = "reliable" if self.khat <= MAX_KHAT else "not reliable"
        sd = self.covariance.diagonal().sqrt()
        return "\n".join(
            [
                f"message of {len(self.mean)} parameters: {word}, k-hat {self.khat:.2f}",
                f"  effective sample size {self.ess:.0f}",
                f"  tilted mean {[round(value, 4) for value in self.mean.tolist()]}",
                f"  tilted standard deviations {[round(value, 4) for value in sd.tolist()]}",
            ]
        )


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
            theta; a ratio posterior; or a simulator, of which a ratio is fitted to simulations of
            parameters drawn from the cavity.
        x_obs: The observation, of a posterior or a simulator.
        draws: How many draws of each proposal, and those that the moments are of.
        simulations: How many of a simulator.
        settings: How critics of simulations train, as `lfi.fit_ratio` takes it; 800 steps of 512
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
    check_whole("simulations", simulations, minimum=100)
    seed = fresh(seed)
    mean = cavity.loc.detach().cpu().double()
    covariance = cavity.covariance_matrix.detach().cpu().double()
    if isinstance(factor, Simulator):
        factor = _fitted(cavity, factor, x_obs, simulations, settings, seed, device, progress)
    prior, own = MultivariateNormal(mean, covariance), (mean, covariance)
    dtype = cavity.loc.dtype
    khat, ess, enough = 0.0, 0.0, MIN_ESS * (len(mean) + 1)
    whole = 0  # rounds whose weights were not tempered
    for index in range(MAX_ROUNDS):
        proposal = MultivariateNormal(own[0], own[1] * (WIDER if index else 1.0))
        theta = _normal_points(proposal, draws, child(seed, index))
        log_t = _log_factor(factor, theta.to(dtype), x_obs).double()
        log_weights = prior.log_prob(theta) + log_t - proposal.log_prob(theta)
        power = tempering_power(log_weights[None], enough)
        smoothed, shape = pareto_smooth(power * log_weights)
        weights = smoothed.exp()
        khat, ess = float(shape), float(effective_sample_size(smoothed))
        centre = weights @ theta
        apart = theta - centre
        own = centre, (weights[:, None] * apart).T @ apart
        whole += bool(power == 1)
        if whole >= WHOLE_ROUNDS:
            break
    if whole < WHOLE_ROUNDS:
        khat = math.inf  # the tilted distribution was not reached
    if not khat <= MAX_KHAT:
        warn_caller(
            f"the moments of the factor are not reliable. Pareto k-hat is {khat:.2f}, above "
            f"{MAX_KHAT}: raise `draws`, or check the factor",
            UnreliableDraws,
        )
    inverse, before = torch.linalg.inv(own[1]), torch.linalg.inv(covariance)
    shift = inverse @ own[0] - before @ mean
    return EPMessage(
        (inverse - before).to(dtype), shift.to(dtype), own[0].to(dtype), own[1].to(dtype), khat, ess
    )


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


def _fitted(
    cavity: MultivariateNormal,
    simulator: Simulator,
    x_obs: Samples | None,
    n: int,
    settings: TrainSettings | None,
    seed: int,
    device: str,
    progress: bool,
) -> Callable[..., Tensor]:
    """Return the log ratio of (theta, x) to shuffled pairs, theta drawn from the cavity."""
    if x_obs is None:
        raise ValueError("x_obs is None: the factor of a simulator needs the observation")
    if simulator.prior.dim != len(cavity.loc):
        raise ValueError(
            f"cavity is of {len(cavity.loc)} parameters, and the simulator has "
            f"{simulator.prior.dim}: {', '.join(simulator.names)}"
        )
    theta = as_prior(cavity, simulator.names).sample(n, seed=numpy_rng(seed, 10))
    x = replicate(simulator, theta, seed=child(seed, 11)).flatten(1)
    valid = x.isfinite().all(1)
    theta, x = theta[valid], x[valid].to(theta)
    shuffled = [torch.cat([theta.roll(k + 1, 0), x], 1) for k in range(SHUFFLED)]
    ratio = fit_ratio(
        torch.cat([theta, x], 1),
        torch.cat(shuffled),
        members=MEMBERS,
        settings=SETTINGS.updated(settings),
        seed=child(seed, 12),
        device=device,
        progress=progress,
    )

    def log_ratio(theta: Tensor, x: Tensor) -> Tensor:
        rows = x.flatten().to(theta).expand(len(theta), -1)
        return ratio.log_ratio(torch.cat([theta, rows], 1))

    return log_ratio
