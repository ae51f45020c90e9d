"""Density estimation by a ratio to a reference: unsupervised as supervised learning.

    log p(x) = log q(x) + log p(x)/q(x)

The reference q is known and can be drawn from; a classifier that tells the data from its draws
learns the rest. There may be as many draws as one likes. The fit integrates to one only where the
ratio is right, so the integral is estimated from further draws, Z = E_q[r], and taken out:
log-likelihoods are then fair to compare.

Where q has no mass the density stays unknown, so q should be wider than the data in every direction
(`lfi.ratio.density.reference`). Where the data fill a small part of q, as in many dimensions, the
classifier's task is too easy: take a closer reference, such as a fitted flow, or telescope.

References:
    Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, 2009, section 14.2.4.
    Gutmann & Hyvarinen, Noise-contrastive estimation, AISTATS 2010.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from lfi.comparison import Bernoulli, CriticLoss
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, floating_dtype
from lfi.numerics.checks import check_counts
from lfi.ratio.density.importance_resampling import ReferenceSamples, sample_reference
from lfi.ratio.density.reference import WideT
from lfi.ratio.neural.calibration import Calibration
from lfi.ratio.neural.critic_ratio import CriticRatio
from lfi.ratio.neural.fit import MIN_ROWS, fit_ratio
from lfi.ratio.types import Estimate, standard_error
from lfi.runtime import Contents, Described, Saved, child, fresh, isolated
from lfi.training import TrainSettings

DEFAULTS = TrainSettings(steps=800)  # the others are those of `lfi.fit_ratio`
DRAWS_PER_ROW, MIN_DRAWS, MAX_DRAWS = 4, 10_000, 200_000  # of the reference
INTEGRAL_DRAWS = 2**17  # further draws


@dataclass(frozen=True, eq=False, repr=False)
class RatioDensity(Described, Saved):
    """A density by its ratio to a reference, as `lfi.fit_density` returns it.

    Attributes:
        ratio: log p/q.
        reference: q.
        log_normaliser: log E_q[r], which `log_prob` takes out; about 0 where the ratio is right.
    """

    ratio: CriticRatio
    reference: Distribution
    log_normaliser: float

    def describe(self) -> str:
        """Return the reference, how far from 1 the ratio integrates, and how it was fitted."""
        return (
            f"density by its ratio to {type(self.reference).__name__}\n"
            f"  log normaliser {self.log_normaliser:.3f}: about 0 where the ratio is right\n"
            f"  {self.ratio.describe()}"
        )

    @checked
    def log_prob(self, x: Samples) -> Float[Tensor, " n"]:
        """Return the log density.

        Args:
            x: Where, (n, *event); NumPy or torch.

        Raises:
            ValueError: If the events have another shape than the data, or are not finite.
        """
        h = self.ratio.log_ratio(x)
        known = self.reference.log_prob(as_sample("x", x).to(h)).to(h)
        return known + h - self.log_normaliser

    @checked
    def log_likelihood(self, x: Samples) -> Estimate:
        """Return the mean log density of data, in nats: a fair score on data not fitted to."""
        h = self.log_prob(as_sample("x", x, min_rows=1)).detach()
        return Estimate(float(h.mean()), standard_error(h))

    @checked
    def weighted_samples(self, n: int, *, seed: int | None = None) -> ReferenceSamples:
        """Return weighted draws of the reference, enough for n samples, with k-hat and their ESS.

        Args:
            n: How many samples are wanted.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is not positive.
        """
        check_counts(n=n)
        seed = fresh(seed)
        return sample_reference(
            self.ratio.log_ratio,
            lambda batch, index: draw(self.reference, batch, child(seed, index)),
            n,
        )

    @checked
    def sample(self, n: int, *, seed: int | None = None) -> Float[Tensor, "n ..."]:
        """Return n samples, resampled from draws of the reference by their weights.

        A draw may come twice. Where the data fill so small a part of the reference that a million
        draws have an effective sample size below a few times n, many do: `weighted_samples` tells,
        by `ess` and `khat`.

        Args:
            n: How many.
            seed: None takes fresh entropy.
        """
        seed = fresh(seed)
        return self.weighted_samples(n, seed=child(seed, 0)).resample(n, child(seed, 1))

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if not isinstance(self.reference, WideT):
            raise TypeError(
                f"a file cannot name the reference {type(self.reference).__name__}: save "
                "density.ratio, and join them again by RatioDensity(ratio, reference, "
                "log_normaliser)"
            )
        spec, tensors = self.ratio._spec()
        spec = {"ratio": spec, "df": self.reference.df, "log_normaliser": self.log_normaliser}
        tensors["location"] = self.reference.location
        tensors["scale_tril"] = self.reference.scale_tril
        return spec, tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "RatioDensity":
        spec, tensors = contents.spec, contents.tensors
        ratio = CriticRatio._restore(contents.part("CriticRatio", spec["ratio"]))
        reference = WideT(tensors["location"], tensors["scale_tril"], ratio.shape, spec["df"])
        return cls(ratio, reference, spec["log_normaliser"])


def draw(distribution: Distribution, n: int, seed: int) -> Tensor:
    """Return n draws, and leave the global state, which `torch.distributions` use, as it was."""
    with isolated(seed), torch.no_grad():
        return distribution.sample((n,))


@checked
def fit_density(
    x: Samples,
    *,
    reference: Distribution | None = None,
    reference_samples: int | None = None,
    loss: CriticLoss = Bernoulli(),  # noqa: B008
    critic: nn.Module | None = None,
    members: int = 5,
    calibration: Calibration | None = None,
    settings: TrainSettings | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> RatioDensity:
    """Fit the density of data, by telling them from draws of a reference density.

    Args:
        x: The data, (n,) or (n, *event), NumPy or torch.
        reference: A distribution of one event, positive wherever data may lie and wider than they.
            None fits a Student t of 5 degrees of freedom to their mean and covariance.
        reference_samples: How many draws of it to train on. None takes four for each row of x,
            between 10,000 and 200,000.
        loss: Any loss that recovers the ratio.
        critic: A network of your own, as `lfi.fit_ratio` takes it.
        members: How many critics, whose log ratios are averaged.
        calibration: Corrects each member on what it held out.
        settings: How critics train, as `lfi.fit_ratio` takes it, but 800 steps by default.
        seed: None takes fresh entropy, which the ratio's history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        TypeError: If x is not an array of numbers, or the reference is no distribution of torch.
        ValueError: If a row is not finite, there are fewer than 50 rows, an entry does not vary, or
            the reference does not fit the data.

    Example:
        >>> quick = lfi.TrainSettings(steps=50)
        >>> density = lfi.fit_density(torch.randn(500, 2), members=2, settings=quick, seed=1)
        >>> density.log_prob(torch.zeros(1, 2)).shape, density.sample(10, seed=2).shape
        (torch.Size([1]), torch.Size([10, 2]))
    """
    data = as_sample("x", x).detach().cpu()
    if len(data) < MIN_ROWS:
        raise ValueError(f"x: {len(data)} rows are too few, need at least {MIN_ROWS}")
    data = data.to(floating_dtype(data.dtype))
    if reference is None:
        reference = WideT.of(data)
    _check_reference(reference, data)
    seed = fresh(seed)
    count = reference_samples
    if count is None:
        count = min(MAX_DRAWS, max(MIN_DRAWS, DRAWS_PER_ROW * len(data)))
    elif count < MIN_ROWS:
        raise ValueError(f"reference_samples must be at least {MIN_ROWS}, got {count}")
    ratio = fit_ratio(
        data,
        draw(reference, count, child(seed, 0)).to(data),
        loss=loss,
        critic=critic,
        members=members,
        calibration=calibration,
        settings=DEFAULTS.updated(settings),
        seed=seed,
        device=device,
        progress=progress,
    )
    further = draw(reference, INTEGRAL_DRAWS, child(seed, 1)).to(data)
    h = ratio.log_ratio(further).double()
    return RatioDensity(ratio, reference, float(h.logsumexp(0)) - math.log(INTEGRAL_DRAWS))


def _check_reference(reference: Distribution, x: Tensor) -> None:
    if not isinstance(reference, Distribution):
        raise TypeError(f"reference must be a torch distribution, got {type(reference).__name__}")
    shape = tuple(reference.batch_shape + reference.event_shape)
    if reference.batch_shape or shape != tuple(x.shape[1:]):
        raise ValueError(
            f"reference: must be of one event of shape {tuple(x.shape[1:])}, got batch shape "
            f"{tuple(reference.batch_shape)} and event shape {tuple(reference.event_shape)}; see "
            "torch.distributions.Independent"
        )
    try:
        outside = int((~reference.log_prob(x).isfinite()).sum())
    except ValueError as error:  # torch's own check of the support
        raise ValueError(f"reference: has no density at some rows of x: {error}") from error
    if outside:
        raise ValueError(
            f"reference: has no density at {outside} of {len(x)} rows of x; it must be positive "
            "wherever data may lie"
        )
