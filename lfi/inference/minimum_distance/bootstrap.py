"""Bootstraps: what else the data might have been, and so what the estimate might be.

    ParametricBootstrap    data sets simulated at the estimate: how it scatters if the model is
                           right (Briol et al. 2019)
    PosteriorBootstrap     the same data under random weights, draws from a Dirichlet process
                           posterior of where data come from: a posterior of the closest
                           parameters that does not take the model to be right, and so, with a
                           robust distance, is itself robust (Dellaporta et al. 2022)

With concentration 0 the weights are Dirichlet(1, ..., 1), the Bayesian bootstrap. Otherwise the
process is centred at the prior predictive: `pseudo` points of it, anew for each draw, are added to
the data and share the weight of `concentration` data points.

References:
    Briol, Barp, Duncan & Girolami, Statistical inference for generative models with maximum mean
    discrepancy, 2019. arXiv:1906.05944
    Dellaporta, Knoblauch, Damoulas & Briol, Robust Bayesian inference for simulator-based models
    via the MMD posterior bootstrap, AISTATS 2022. arXiv:2202.04744
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.minimum_distance.problems import DistanceProblems
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number, check_whole
from lfi.runtime import child, numpy_rng, torch_rng
from lfi.simulation import Simulator, replicate

REPLICATES = 200


@checked
@dataclass(frozen=True)
class ParametricBootstrap:
    """Estimates of data sets that are simulated at the estimate.

    Attributes:
        replicates: How many.

    Example:
        >>> lfi.inference.ParametricBootstrap(replicates=500)
        ParametricBootstrap(replicates=500)
    """

    replicates: int = REPLICATES

    name: ClassVar[str] = "parametric bootstrap"

    def __post_init__(self) -> None:
        check_whole("replicates", self.replicates, minimum=2)

    def problems(
        self, simulator: Simulator, data: Float[Tensor, "k n d"], theta: Tensor, seed: int
    ) -> DistanceProblems:
        """Return the problems of every data set's replicates, one set after the other."""
        k, n = data.shape[:2]
        rows = theta.repeat_interleave(self.replicates, 0)
        x = _points(simulator, rows, n, seed).to(data)
        if (lost := ~x.isfinite().all(-1).any(-1)).any():
            raise ValueError(
                f"simulator: no data point of {int(lost.sum())} of {len(x)} data sets that "
                f"{simulator.name} simulated at the estimate was finite: narrow the prior to where "
                "it runs, or take a PosteriorBootstrap"
            )
        return _with_weights(x, torch.ones(x.shape[:2], dtype=x.dtype), k)


@checked
@dataclass(frozen=True)
class PosteriorBootstrap:
    """Estimates of the data under random weights: a robust posterior.

    Attributes:
        replicates: How many draws.
        concentration: How many data points the prior predictive weighs as much as.
        pseudo: Of how many points of the prior predictive, where it has weight.

    Example:
        >>> lfi.inference.PosteriorBootstrap(replicates=500)
        PosteriorBootstrap(replicates=500, concentration=0.0, pseudo=20)
    """

    replicates: int = REPLICATES
    concentration: float = 0.0
    pseudo: int = 20

    name: ClassVar[str] = "posterior bootstrap"

    def __post_init__(self) -> None:
        check_whole("replicates", self.replicates, minimum=2)
        check_number("concentration", self.concentration, minimum=0)
        check_whole("pseudo", self.pseudo)

    def problems(
        self, simulator: Simulator, data: Float[Tensor, "k n d"], theta: Tensor, seed: int
    ) -> DistanceProblems:
        """Return the problems of every data set's draws, one set after the other."""
        k, n = data.shape[:2]
        p = k * self.replicates
        which = torch.arange(k).repeat_interleave(self.replicates)
        shapes = torch.ones(p, n, dtype=torch.float64)
        if self.concentration == 0:
            return DistanceProblems(data, which, which, _gamma(shapes, seed).to(data))
        prior = simulator.prior.sample(p * self.pseudo, seed=numpy_rng(seed, 1))
        x = _points(simulator, prior, 1, child(seed, 2)).to(data)
        x = torch.cat([data[which], x.reshape(p, self.pseudo, -1)], dim=1)
        share = torch.full((p, self.pseudo), self.concentration / self.pseudo, dtype=shapes.dtype)
        return _with_weights(x, _gamma(torch.cat([shapes, share], dim=1), seed).to(data), k)


Bootstrap = ParametricBootstrap | PosteriorBootstrap


def _gamma(shapes: Tensor, seed: int) -> Tensor:
    """Return gamma variables: divided by their sum, they are Dirichlet."""
    return torch.ops.aten._standard_gamma(shapes, generator=torch_rng(seed, 0))


def _points(simulator: Simulator, theta: Tensor, n: int, seed: int) -> Float[Tensor, "p n d"]:
    """Return n points for each theta."""
    calls = -(-n // (simulator.independent_draws or 1))
    x = replicate(simulator, theta.repeat_interleave(calls, 0), seed=seed)
    if simulator.independent_draws:
        x = x.flatten(0, 1)
    return x.reshape(len(theta), -1, x[0].numel())[:, :n]


def _with_weights(
    x: Float[Tensor, "p n d"], weights: Float[Tensor, "p n"], k: int
) -> DistanceProblems:
    """Return problems with data of their own, of which points that are not finite weigh nothing."""
    p = len(x)
    bad = ~x.isfinite().all(-1)
    x = torch.where(bad[..., None], 0.0, x)
    kernels = torch.arange(k).repeat_interleave(p // k)
    return DistanceProblems(x, torch.arange(p), kernels, torch.where(bad, 0.0, weights))
