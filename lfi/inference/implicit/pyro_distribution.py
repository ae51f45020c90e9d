"""Distributions known by samples alone, for `pyro.sample`: a density ratio in place of a density.

    log p(z) = log r(z) + log p(z)/r(z),      r a wide Student t of the samples' moments

By a classifier that tells the samples from draws of r, whatever needs a density can take an
implicit distribution for a prior, as Pyro's ELBO does.

References:
    Mohamed & Lakshminarayanan, Learning in implicit generative models, 2016. arXiv:1610.03483
    Huszar, Variational inference using implicit distributions, 2017. arXiv:1702.08235
"""

from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from lfi.comparison import Bernoulli, CriticLoss
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, floating_dtype
from lfi.ratio import RatioDensity, fit_density
from lfi.runtime import Contents, Saved
from lfi.training import TrainSettings

SAMPLES = "samples"  # their name in a file


class RatioDistribution(Distribution, Saved):
    """A distribution that is drawn by taking one of its samples, with a density by a ratio.

    `ratio_distribution` makes one that `pyro.sample` takes, and `save` writes it, its samples
    included, to a file for `lfi.load`.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, samples: Tensor, density: RatioDensity) -> None:
        self.samples: Tensor = samples
        self.density: RatioDensity = density
        super().__init__(torch.Size(), samples.shape[1:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Return some of the samples, (*sample_shape, *event), by torch's global state."""
        generator, shape = torch.default_generator, torch.Size(sample_shape)
        rows = torch.randint(len(self.samples), (shape.numel(),), generator=generator)
        return self.samples[rows].reshape(*shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of (*n, *event), (*n,), differentiable, and mapped by vmap."""
        shape = value.shape[: value.ndim - len(self.event_shape)]
        rows, own = value.reshape(-1, *self.event_shape), self.density
        h = own.ratio.values(rows).mean(0)
        known = own.reference.log_prob(rows).to(h)
        return (known + h - own.log_normaliser).to(value).reshape(shape)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = self.density._spec()
        return {"density": spec}, tensors | {SAMPLES: self.samples}

    @classmethod
    def _restore(cls, contents: Contents) -> "RatioDistribution":
        density = RatioDensity._restore(contents.part("RatioDensity", contents.spec["density"]))
        samples = contents.tensors[SAMPLES]
        if samples.shape[1:] != density.ratio.shape or not len(samples):
            raise ValueError(f"samples of shape {tuple(samples.shape)}")
        if not samples.is_floating_point() or not samples.isfinite().all():
            raise ValueError(f"samples that are not finite numbers, of {samples.dtype}")
        return _for_pyro()(samples, density)


@cache
def _for_pyro() -> type[RatioDistribution]:
    from pyro.distributions import TorchDistribution

    return type("RatioDistribution", (RatioDistribution, TorchDistribution), {})


@checked
def ratio_distribution(
    samples: Samples,
    *,
    loss: CriticLoss = Bernoulli(),  # noqa: B008
    members: int = 5,
    settings: TrainSettings | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> RatioDistribution:
    """Return a distribution for `pyro.sample` that is known by samples alone, such as data.

    Its density is `lfi.fit_density`'s, by a ratio; its draws are the samples.

    Args:
        samples: (n, *event): data, or draws of a generator.
        loss: Any loss that recovers the ratio.
        members: How many critics, whose log ratios are averaged.
        settings: How critics train.
        seed: None takes fresh entropy.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        TypeError: If the samples are not an array of numbers.
        ValueError: If a sample is not finite, or there are fewer than 50.

    Example:
        >>> import pyro
        >>> quick = lfi.TrainSettings(steps=50)
        >>> own = ratio_distribution(torch.randn(500, 2), members=2, settings=quick, seed=1)
        >>> z = pyro.sample("z", own)
        >>> z.shape, own.log_prob(z).shape
        (torch.Size([2]), torch.Size([]))
    """
    rows = as_sample("samples", samples)
    if rows.ndim < 2 or len(rows) < 50:
        raise ValueError(
            f"samples has shape {tuple(rows.shape)}, expected (n, *event), at least 50 rows"
        )
    rows = rows.detach().cpu().to(floating_dtype(rows.dtype))
    density = fit_density(
        rows,
        loss=loss,
        members=members,
        settings=settings,
        seed=seed,
        device=device,
        progress=progress,
    )
    density.ratio.critics.cpu().requires_grad_(False)
    return _for_pyro()(rows, density)
