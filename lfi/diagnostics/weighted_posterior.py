"""Posteriors of many observations as weighted samples, the true parameters among them.

A simulation is (theta*, x). The posterior of x is known by samples theta_1..k with weights w_i:

    known by    samples                                        weights
    its ratio   draws from the prior, shared by observations   p(x | theta_i) / p(x)
    and a flow  draws from (flow given x + prior) / 2          the same, over their density
    its draws   draws from the posterior of x                  all equal

Add theta* as theta_0. If the posterior is right then, given x and the set {theta_0..k}, each member
is the one that made x with probability proportional to its weight. This holds exactly, for every k,
for independent draws; of those that repeat each other, `ess` counts the different ones.

Draws from the prior are cheap, but few of them have weight in a posterior far narrower than it. So
a flow proposes, where the posterior has one, and posteriors whose importance samples are too few to
judge them are known by their draws instead, where they can be drawn from. Which these are depends
on x and on the importance samples, not on theta*, so that the statement above holds as before.

A posterior known by draws alone has no density. It is needed only to order samples, and any order
that treats theta* like the others is exact: each sample's density is estimated by the distance to
the sqrt(k)-th nearest of its set, in standard deviations of the coordinates.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.draws import WeightedDraws
from lfi.inference.samplers.defensive import defensive_samples
from lfi.inference.samplers.target import Target
from lfi.numerics.neighbours import neighbour_distance
from lfi.runtime.seeds import child
from lfi.simulation import Prior, Simulations

FOR_ONE = 16  # shared importance samples for each one from a flow
PER_OBSERVATION = 128  # importance samples for each of the observations that share them
MAX_CHUNK = 64  # observations at a time: this bounds the memory,
MAX_NUMBERS = 2**22  # and this that of draws, which posteriors are asked for in one call
DRAWS = 256  # of each observation, where a posterior is known by draws
INSTEAD = 64  # draws of each observation in place of importance samples, at least
MIN_ESS = 10  # effective sample size, for however few observations
MARGIN = 1.5  # times the smallest effective sample size: the truth among the samples may lower it

CONSISTENT = "consistent with calibration"
TOO_FEW = "not assessed: too few effective samples"


@runtime_checkable
class HasSamples(Protocol):
    """A posterior known by draws; a `log_prob` of (n, D) and one observation is used if there."""

    prior: Prior

    def sample(self, n: int, x_obs: Tensor, *, seed: int | None = None) -> Tensor:
        """Return draws given one observation, (n, D), or given a batch of m, (m, n, D)."""
        ...


@runtime_checkable
class HasDensity(Protocol):
    """A posterior with a log density, perhaps up to a function of the observation."""

    def log_prob(self, theta: Tensor, x_obs: Tensor) -> Tensor:
        """Return the log density of theta, (n, D), given one observation, (n,)."""
        ...


@runtime_checkable
class HasRatio(Protocol):
    """A posterior of any observation, known by its ratio to the prior."""

    prior: Prior
    x_shape: tuple[int, ...]

    def log_ratio(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return log p(theta | x) / p(theta) up to a function of x, row by row."""
        ...

    def weighted(self, x: Tensor, n: int, *, seed: int) -> WeightedDraws:
        """Return n shared draws from the prior with their log-ratios, up to a function of x."""
        ...


@runtime_checkable
class HasTarget(Protocol):
    """A posterior with a target density for samplers, which may have a proposal."""

    prior: Prior

    def target(self, x: Tensor) -> Target:
        """Return the posteriors of m observations."""
        ...


Checkable = HasRatio | HasSamples


@dataclass(frozen=True, eq=False)
class WeightedPosteriors:
    """Weighted samples of m posteriors, the true parameters in front where these are known."""

    truth: Float[Tensor, "m d"] | None
    others: Float[Tensor, "*m k d"]  # samples that all observations share, or of each one
    weights: Float[Tensor, "m c"]  # of the truth and the others; each row adds up to one
    log_density: Float[Tensor, "m c"] | None  # each row up to a constant; None if not asked for
    ess: Float[Tensor, " m"]
    ess_without_truth: Float[Tensor, " m"]
    rows: Int[Tensor, " m"]  # which observations they are of

    def map(self, coordinates: Callable[[Tensor], Tensor]) -> Float[Tensor, "m c *e"]:
        """Return coordinates of all samples, computed once for shared ones."""
        m = len(self.weights)
        others = coordinates(self.others)
        others = others.expand(m, *others.shape) if self.others.ndim == 2 else others
        if self.truth is None:
            return others
        return torch.cat([coordinates(self.truth)[:, None], others], dim=1)

    @property
    def theta(self) -> Float[Tensor, "m c d"]:
        """The samples."""
        return self.map(lambda theta: theta)

    def select(self, kept: Int[Tensor, " k"]) -> "WeightedPosteriors":
        """Return the posteriors of some of the observations."""
        shared = self.others.ndim == 2
        return WeightedPosteriors(
            truth=None if self.truth is None else self.truth[kept],
            others=self.others if shared else self.others[kept],
            weights=self.weights[kept],
            log_density=None if self.log_density is None else self.log_density[kept],
            ess=self.ess[kept],
            ess_without_truth=self.ess_without_truth[kept],
            rows=self.rows[kept],
        )

    def resample(self, n: int, rng: torch.Generator) -> Float[Tensor, "m n d"]:
        """Return n draws from each weighted set; the truth returns in proportion to its weight."""
        rows = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        return self.theta.gather(1, rows[..., None].expand(-1, -1, self.others.shape[-1]))


def weighted_posteriors(
    posterior: object,
    theta: Float[Tensor, "m d"] | None,
    x: Float[Tensor, "m ..."],
    *,
    importance_samples: int,
    draws: int | None,
    seed: int,
    density: bool = True,
    min_ess: float = 0.0,
    share_below: float = 0.5,
) -> Iterator[WeightedPosteriors]:
    """Represent the posteriors of observations by weighted samples, in chunks of observations.

    Without `draws` the ratio is preferred, and 256 draws are taken where there is none. Where more
    than `share_below` of the observations have an effective sample size below `min_ess`, chunks of
    those follow that are known by draws, and stand for the earlier ones of the same `rows`.
    ValueError if ratios are not finite or shapes wrong; TypeError if it has neither ratio nor
    draws.
    """
    every = torch.arange(len(x))
    if draws is None and isinstance(posterior, HasRatio):
        size, few = min(max(importance_samples // PER_OBSERVATION, 1), MAX_CHUNK), []
        weigh = partial(_by_ratio, posterior, importance_samples)
        if isinstance(posterior, HasTarget) and posterior.target(x[:1]).proposal is not None:
            size = MAX_CHUNK
            weigh = partial(_by_proposal, posterior, max(2, importance_samples // FOR_ONE))
        for chunk, rows in enumerate(every.split(size)):
            truth = None if theta is None else theta[rows].double()
            key = child(seed, chunk)
            part = weigh(truth, x[rows], rows, key)
            few.append(rows[~(part.ess_without_truth >= MARGIN * min_ess)])
            yield part
        rows = torch.cat(few)
        if len(rows) <= share_below * len(x) or not isinstance(posterior, HasSamples):
            return
        draws, seed = max(INSTEAD, math.ceil(2 * MARGIN * min_ess)), child(seed, len(x))
    elif isinstance(posterior, HasSamples):
        rows, draws = every, DRAWS if draws is None else draws
    else:
        raise TypeError(
            "posterior: needs a `prior` and `sample(n, x_obs, seed=)`, or `log_ratio` and "
            f"`weighted`, got {type(posterior).__name__}"
        )
    at_once = max(MAX_CHUNK, MAX_NUMBERS // (draws * posterior.prior.dim))
    for call, several in enumerate(rows.split(at_once)):
        drawn = sample_posteriors(posterior, draws, x[several], seed=child(seed, call))
        for part, own in zip(several.split(MAX_CHUNK), drawn.split(MAX_CHUNK), strict=True):
            truth = None if theta is None else theta[part].double()
            yield _by_draws(posterior, own.double(), density, truth, x[part], part)


def latest_of_each(chunks: Iterator[WeightedPosteriors]) -> list[WeightedPosteriors]:
    """Return chunks in which every observation is once, as the last of the given ones knows it."""
    kept, seen = [], torch.zeros(0, dtype=torch.long)
    for chunk in reversed(list(chunks)):
        new = ~torch.isin(chunk.rows, seen)
        seen = torch.cat([seen, chunk.rows])
        if new.any():
            kept.append(chunk.select(new.nonzero()[:, 0]))
    return kept[::-1]


def sample_posteriors(
    posterior: HasSamples, n: int, x: Float[Tensor, "m ..."], *, seed: int
) -> Float[Tensor, "m n d"]:
    """Return n draws for each observation, at once where the posterior takes a batch of them."""
    shape = (n, posterior.prior.dim)
    if len(x) > 1:
        try:
            drawn = posterior.sample(n, x, seed=seed)
        except (ValueError, TypeError, RuntimeError, NotImplementedError):
            drawn = None  # it takes one at a time; what else is wrong is raised below
        if drawn is not None and drawn.shape == (len(x), *shape):
            return drawn
    each = [posterior.sample(n, row, seed=child(seed, i)) for i, row in enumerate(x)]
    for drawn in each:
        if drawn.shape != shape:
            raise ValueError(
                f"posterior: sample({n}, x_obs) returned {tuple(drawn.shape)}, expected {shape}"
            )
    return torch.stack(each)


def _by_ratio(
    posterior: HasRatio, n: int, truth: Tensor | None, x: Tensor, rows: Tensor, seed: int
) -> WeightedPosteriors:
    weighted = posterior.weighted(x, n, seed=seed)
    log_weights, log_prior = weighted.log_weights.double(), posterior.prior.log_prob(weighted.theta)
    log_prior = log_prior.double().expand_as(log_weights)
    without = _effective(log_weights)
    if truth is not None:
        theta = truth.to(weighted.theta.dtype)
        log_weight, best = log_weights.max(dim=1)  # perhaps normalised, which the ratio is not
        gain = posterior.log_ratio(theta, x) - posterior.log_ratio(weighted.theta[best], x)
        log_weights = torch.cat([(log_weight + gain.double())[:, None], log_weights], dim=1)
        own = posterior.prior.log_prob(theta).double()
        log_prior = torch.cat([own[:, None], log_prior], dim=1)
    others = weighted.theta.double()
    return _normalised(truth, others, log_weights, log_weights + log_prior, without, rows)


@torch.no_grad()
def _by_proposal(
    posterior: HasTarget, n: int, truth: Tensor | None, x: Tensor, rows: Tensor, seed: int
) -> WeightedPosteriors:
    target = posterior.target(x)
    drawn = defensive_samples(posterior.prior, target.proposal, len(x), n, truth=truth, seed=seed)
    log_weights = drawn.log_weights(target)
    log_density = log_weights - drawn.base + drawn.log_prior
    known = 0 if truth is None else 1
    without, others = _effective(log_weights[:, known:]), drawn.theta[:, known:].double()
    return _normalised(truth, others, log_weights, log_density, without, rows)


def _normalised(
    truth: Tensor | None,
    others: Tensor,
    log_weights: Tensor,
    log_density: Tensor,
    without: Tensor,
    rows: Tensor,
) -> WeightedPosteriors:
    if not log_weights.max(dim=1).values.isfinite().all():  # NaN, infinite, or no weight at all
        raise ValueError("posterior gives no finite log-ratios at some of the x")
    return WeightedPosteriors(
        truth=truth,
        others=others,
        weights=log_weights.softmax(dim=1),
        log_density=log_density,
        ess=_effective(log_weights),
        ess_without_truth=without,
        rows=rows,
    )


def _effective(log_weights: Float[Tensor, "m c"]) -> Float[Tensor, " m"]:
    return 1 / log_weights.softmax(dim=1).square().sum(dim=1)


def _by_draws(
    posterior: HasSamples,
    drawn: Float[Tensor, "m k d"],
    density: bool,
    truth: Tensor | None,
    x: Tensor,
    rows: Tensor,
) -> WeightedPosteriors:
    theta = drawn if truth is None else torch.cat([truth[:, None], drawn], dim=1)
    log_density = None
    has_density = getattr(posterior, "normalised", False) is not None
    if density and has_density and isinstance(posterior, HasDensity):
        dtype = posterior.prior.dtype
        densities = [posterior.log_prob(t.to(dtype), row) for t, row in zip(theta, x, strict=True)]
        log_density = torch.stack(densities).double()
        if log_density.shape != theta.shape[:2] or log_density.isnan().any():
            raise ValueError(
                f"posterior: log_prob returned shape {tuple(densities[0].shape)} or values that "
                f"are no numbers, expected ({theta.shape[1]},) log densities"
            )
    elif density:
        scale = theta.std(dim=1, keepdim=True)
        z = theta / torch.where(scale > 0, scale, 1.0)
        nearest = 1 + max(1, min(int(theta.shape[1] ** 0.5), theta.shape[1] - 1))  # itself is first
        log_density = -neighbour_distance(z, z, nearest)
    return WeightedPosteriors(
        truth=truth,
        others=drawn,
        weights=theta.new_full(theta.shape[:2], 1 / theta.shape[1]),
        log_density=log_density,
        ess=1 / _shares(theta).square().sum(dim=1),
        ess_without_truth=1 / _shares(drawn).square().sum(dim=1),
        rows=rows,
    )


def _shares(theta: Float[Tensor, "m k d"]) -> Float[Tensor, "m k"]:
    """Return the shares of distinct samples in each set, and zeros."""
    directions = torch.linspace(1, 2, theta.shape[2], dtype=theta.dtype)
    ordered = (theta * directions).sum(dim=2).sort(dim=1).values
    new = (ordered[:, 1:] != ordered[:, :-1]).long().cumsum(dim=1)
    group = torch.cat([new.new_zeros(len(new), 1), new], dim=1)
    count = torch.zeros_like(ordered).scatter_add_(1, group, torch.ones_like(ordered))
    return count / theta.shape[1]


def valid_rows(posterior: Checkable, held_out: Simulations) -> tuple[Tensor, Tensor]:
    """Return the valid (theta, x), once they are from the posterior's prior and of its shapes."""
    prior = posterior.prior
    names = held_out.names
    if names != prior.names:
        raise ValueError(f"held_out has the parameters {names}, the posterior {prior.names}")
    theta, x = held_out.ok(missing=True)
    if len(theta) == 0:
        raise ValueError(f"held_out has no valid simulation among {len(held_out)}")
    if isinstance(posterior, HasRatio) and x.shape[1:] != tuple(posterior.x_shape):
        raise ValueError(
            f"held_out has x of shape {tuple(x.shape[1:])}, the posterior takes "
            f"{tuple(posterior.x_shape)}"
        )
    outside = int((~prior.contains(theta)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {len(theta)} held-out parameters lie outside the posterior's prior "
            f"({scope_of(prior)}): simulate them with `prior=posterior.prior`"
        )
    lower, upper = held_out.prior.lower.double(), held_out.prior.upper.double()
    inside = (lower > prior.lower) & ~torch.isclose(lower, prior.lower.double())
    inside |= (upper < prior.upper) & ~torch.isclose(upper, prior.upper.double())
    if inside.any():
        raise ValueError(
            f"held_out comes from a narrower prior ({scope_of(held_out.prior)}) than the "
            f"posterior's ({scope_of(prior)}): simulate it with `prior=posterior.prior`"
        )
    return theta, x


def scope_of(prior: Prior) -> str:
    """Return the parameters that a verdict is about, in words."""
    return "over the prior" + f" truncated to {bounds_of(prior)}" * prior.truncated


def bounds_of(prior: Prior) -> str:
    """Return a prior's bounds in words."""
    bounds = zip(prior.names, prior.lower.tolist(), prior.upper.tolist(), strict=True)
    return ", ".join(f"{name} in [{low:.3g}, {high:.3g}]" for name, low, high in bounds)
