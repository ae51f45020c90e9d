"""Joint densities of parameters, known up to a constant, in unconstrained coordinates.

A posterior is the joint density log p(theta) + log p(x | theta) up to a constant. Networks draw u
in R^d, and theta = T(u) lies in the support, so that the density of u is

    log p(theta) + log p(x | theta) + log |det dT/du|.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import StudentT

from lfi.inference.samplers.adaptive_importance import ImportanceSamples
from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import shown
from lfi.numerics.arrays import Samples, as_sample
from lfi.runtime import numpy_rng, torch_rng
from lfi.simulation import Prior, as_prior

STARTS = 256  # points that tell where a density lies, and on what scale
DEGREES = 3.0  # of freedom of the Student distributions that importance sampling begins with
WIDER = 1.5  # than these points
SECONDS = 60.0  # of importance sampling
FIRST_SAMPLES = Importance(target_ess=0.2, max_samples=2**16)
FEW_SAMPLES = Importance(target_ess=0.2, max_samples=2**12)  # of a model run row by row

LogDensity = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class JointDensity:
    """A joint density of u in R^d, up to a constant, and the parameters theta = T(u).

    Attributes:
        names: The parameters' names, one a column of theta.
        log_density: log_density(u, *x) returns the log density of u, (n, d), where there are
            observations given a row of them for each; (n,), differentiable in u, on the CPU.
        constrain: T, of (n, d).
        unconstrain: Its inverse, of (n, theta_dim).
        log_jacobian: log |det dT/du| of u, (n,).
        start: Points u about where the density lies, (n, d), in the density's dtype.
        prior: The prior, where there is one that lfi can describe.
        shapes: The shapes of named parts of theta, such as a Pyro model's sites.
        observed: The observation, where the density is of one that is known.
        quick: Whether many rows take little longer than one.
        known: Whether there is a log density, which a file does not keep.
    """

    names: tuple[str, ...]
    log_density: LogDensity
    constrain: Callable[[Tensor], Tensor]
    unconstrain: Callable[[Tensor], Tensor]
    log_jacobian: Callable[[Tensor], Tensor]
    start: Float[Tensor, "n d"]
    prior: Prior | None = None
    shapes: tuple[tuple[str, torch.Size], ...] = field(default=())
    observed: Float[Tensor, "..."] | None = None
    quick: bool = True
    known: bool = True

    @property
    def dim(self) -> int:
        """The number of unconstrained coordinates."""
        return self.start.shape[1]

    def importance_samples(self, n: int, *, seed: int) -> ImportanceSamples:
        """Return weighted samples of the density, as good as a minute of adaptation makes them.

        They begin with heavy-tailed draws around `start`.
        """
        middle = self.start.double().median(0).values
        spread = (self.start.double() - middle).abs().quantile(0.68, dim=0)
        scale = WIDER * torch.where(spread > 0, spread, 1.0)
        wide = as_prior(
            {
                f"u{i}": StudentT(DEGREES, *each)
                for i, each in enumerate(zip(middle, scale, strict=True))
            }
        )

        def pair(u: Tensor, x: Tensor) -> Tensor:
            values = self.log_density(u[0].to(self.start)).double()
            return (values - wide.log_prob(u[0])).nan_to_num(nan=-torch.inf)[None]

        target = Target(wide, (torch.zeros(1, 1),), pair)
        limit = TimeLimit.start(SECONDS)
        try:
            sampler = FIRST_SAMPLES if self.quick else FEW_SAMPLES
            (found,) = sampler.weighted_samples(target, n, seed=seed, limit=limit)
        except ValueError as error:
            raise ValueError(
                "model: its log density is not finite at any of thousands of points around "
                f"{middle.tolist()} +- {scale.tolist()}: give `start`, points where it is"
            ) from error
        return found


def density_without_model(
    names: tuple[str, ...],
    prior: Prior | None,
    dtype: torch.dtype,
    shapes: tuple[tuple[str, torch.Size], ...] = (),
    observed: Tensor | None = None,
) -> JointDensity:
    """Return what is left of a joint density without its model: the way to the parameters."""

    def log_density(u: Tensor, *x: Tensor) -> Tensor:
        raise ValueError(
            "model: files do not keep it, so that draws of a loaded posterior have no weights, and "
            "cannot be corrected: fit it again for that"
        )

    start = torch.zeros(1, len(names), dtype=dtype)
    own = _plain(names, log_density, start) if prior is None else _in(prior, log_density, start)
    return replace(own, shapes=shapes, observed=observed, known=False)


def density_with_prior(log_likelihood: LogDensity, prior: Prior, *, seed: int) -> JointDensity:
    """Return the joint density of a prior and a likelihood log p(x | theta)."""

    def log_density(u: Tensor, *x: Tensor) -> Tensor:
        theta, log_jacobian = prior.from_unconstrained(u)
        return prior.log_prob(theta) + log_jacobian + log_likelihood(theta, *x)

    start = prior.to_unconstrained(prior.sample(STARTS, seed=numpy_rng(seed)))
    value = prior.log_prob(prior.from_unconstrained(start.clone().requires_grad_())[0])
    if not value.requires_grad and bool((value != value[0]).any()):
        raise ValueError(
            "prior: its log density has no gradient, as distributions of SciPy have none: give "
            f"distributions of torch or Pyro, got {prior!r}"
        )
    return _in(prior, log_density, start)


def density_by_names(
    log_prob: LogDensity, names: Sequence[str], start: Samples | None, *, seed: int
) -> JointDensity:
    """Return a joint density on all of R^d, looked for around `start` or the standard normal."""
    size = len(names)
    if start is None:
        rng = torch_rng(seed)
        points = torch.randn(STARTS, size, generator=rng, dtype=torch.float32, device="cpu")
    else:
        points = as_sample("start", start, (size,), min_rows=2).detach().cpu()
        points = points if points.is_floating_point() else points.double()
    return _plain(tuple(names), log_prob, points)


def _in(prior: Prior, log_density: LogDensity, start: Tensor) -> JointDensity:
    """Return a density of parameters that the prior's map reaches."""
    return JointDensity(
        names=prior.names,
        log_density=log_density,
        constrain=lambda u: prior.from_unconstrained(u)[0],
        unconstrain=prior.to_unconstrained,
        log_jacobian=lambda u: prior.from_unconstrained(u)[1],
        start=start,
        prior=prior,
    )


def _plain(names: tuple[str, ...], log_density: LogDensity, start: Tensor) -> JointDensity:
    """Return a density of parameters that are unconstrained themselves."""
    return JointDensity(
        names=names,
        log_density=log_density,
        constrain=lambda u: u,
        unconstrain=lambda theta: theta,
        log_jacobian=lambda u: torch.zeros_like(u[:, 0]),
        start=start,
    )


def check_density(density: JointDensity, x: tuple[Tensor, ...] = ()) -> None:
    """Check what a log density returns at its first points: shape, numbers and gradients.

    A TypeError says that it returns no tensor; a ValueError that the shape is wrong, that nothing
    is finite, or that there are no gradients.
    """
    u = density.start.detach().clone().requires_grad_()
    rows = tuple(part[torch.arange(len(u)) % len(part)] for part in x)
    with torch.enable_grad():
        values = density.log_density(u, *rows)
    if not isinstance(values, Tensor):
        raise TypeError(f"model must return a tensor of log densities, got {shown(values)}")
    if values.shape != (len(u),):
        raise ValueError(
            f"model must return a log density for each of {len(u)} rows, ({len(u)},); it returned "
            f"shape {tuple(values.shape)}"
        )
    bad = int((values.isnan() | (values == torch.inf)).sum())
    if bad or not values.isfinite().any():
        bad = bad or len(u)
        raise ValueError(
            f"model: the log density is not finite at {bad} of {len(u)} points where it may lie; "
            f"the first is {u[~values.isfinite()][0].tolist()}, where it is "
            f"{float(values[~values.isfinite()][0].detach())}"
        )
    if not values.requires_grad:
        raise ValueError(
            "model: its log density has no gradients, which fit_implicit needs: it is to be "
            "computed by torch from its argument, without detach or NumPy"
        )
