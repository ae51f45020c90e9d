"""Priors given by a sampler (from torch's global state, seeded at each call) and a density."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from lfi.numerics.arguments import checked
from lfi.runtime import isolated
from lfi.simulation.priors.prior import Prior, as_prior


class SampledDistribution(Distribution):
    """A distribution of a vector that is given by a sampler and a log density."""

    def __init__(
        self,
        draw: Callable[[int], Tensor],
        density: Callable[[Tensor], Tensor],
        lower: Float[Tensor, " dim"],
        upper: Float[Tensor, " dim"],
    ) -> None:
        self.draw: Callable[[int], Tensor] = draw
        self.density: Callable[[Tensor], Tensor] = density
        self.lower: Tensor = lower
        self.upper: Tensor = upper
        super().__init__(event_shape=lower.shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """None: it is given by functions."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """The product of the intervals between the bounds."""
        return constraints.independent(constraints.interval(self.lower, self.upper), 1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw vectors, (*sample_shape, dim)."""
        n = int(torch.Size(sample_shape).numel())
        return self.draw(n).reshape(*sample_shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, (*batch, dim) to (*batch,)."""
        rows = value.reshape(-1, *self.event_shape)
        return self.density(rows).reshape(value.shape[:-1])


@checked
def sampled_prior(
    sample: Callable[[int], Tensor],
    log_prob: Callable[[Tensor], Tensor],
    *,
    names: Sequence[str],
    lower: Sequence[float] | None = None,
    upper: Sequence[float] | None = None,
) -> Prior:
    """Return the prior that a sampler draws from and a density describes.

    Args:
        sample: Draws n vectors, (n, D), from torch's global state.
        log_prob: Their log density, (n, D) to (n,), normalised, at points between the bounds.
        names: The parameters' names.
        lower: The lower bounds of the support; none if None.
        upper: The upper bounds of the support.

    Raises:
        ValueError: If shapes disagree, or a draw lies outside the bounds.

    Example:
        >>> disc = lambda n: torch.nn.functional.normalize(torch.randn(n, 2)) * torch.rand(n, 1)
        >>> density = lambda theta: -theta.norm(dim=1).log() - torch.tensor(2 * torch.pi).log()
        >>> sampled_prior(disc, density, names=("a", "b"), lower=[-1, -1], upper=[1, 1])
        Prior(a in (-1, 1), b in (-1, 1))
    """
    names = tuple(names)
    with isolated(0):
        trial = sample(4)
    if trial.shape != (4, len(names)):
        raise ValueError(
            f"sample must return (n, {len(names)}), a column for each of {', '.join(names)}; "
            f"sample(4) has shape {tuple(trial.shape)}"
        )
    edges = []
    for side, bound, end in (("lower", lower, -torch.inf), ("upper", upper, torch.inf)):
        values = [end] * len(names) if bound is None else bound
        edges.append(torch.tensor(values, dtype=trial.dtype))
        if edges[-1].shape != (len(names),):
            raise ValueError(f"{side} must hold a bound for each of {', '.join(names)}")
    if not ((trial > edges[0]) & (trial < edges[1])).all():
        raise ValueError(f"sample drew {trial.tolist()}, which is not between the bounds")
    density = log_prob(trial)
    if density.shape != (4,) or not density.isfinite().all():
        raise ValueError(
            f"log_prob must return a finite density for each row; of four draws it returned "
            f"{density.tolist()}"
        )
    return as_prior(SampledDistribution(sample, log_prob, *edges), names)
