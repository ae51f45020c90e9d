"""Importance weights: how many draws they are worth, and Pareto smoothing.

Pareto-smoothed importance sampling fits a generalised Pareto distribution to the
M = min(n/5, 3 sqrt(n)) largest of n weights, replaces them by its expected order statistics, and
reports its shape k-hat: estimates are dependable below 0.7 (more exactly 1 - 1/log10(n)), and
hopeless above 1, where the weights have no mean.

References:
    Vehtari et al., Pareto Smoothed Importance Sampling, JMLR 2024. arXiv:1507.02646
    Zhang & Stephens, A new ... method for the generalized Pareto distribution, Technometrics 2009.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked


@checked
def effective_sample_size(log_weights: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """Return how many equal weights have the variance of these, between 1 and n.

    Example:
        >>> effective_sample_size(torch.tensor([0.0, 0.0, -torch.inf, -torch.inf]))
        tensor(2.)
    """
    return torch.exp(2 * log_weights.logsumexp(-1) - (2 * log_weights).logsumexp(-1))


@checked
@torch.no_grad()
def pareto_smooth(
    log_weights: Float[Tensor, "*batch n"],
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch"]]:
    """Return smoothed, normalised log weights and k-hat, for each row of unnormalised log weights.

    Where fewer than five weights stand in the tail, nothing is smoothed and k-hat is inf; it is 0
    where the largest are all equal, to rounding. Equal weights stay equal. -inf is a weight of
    zero; ValueError if a weight is nan or infinite, or all of a row are zero.

    Example:
        >>> weights, khat = pareto_smooth(torch.zeros(100))
        >>> weights.logsumexp(0).abs() < 1e-6, khat
        (tensor(True), tensor(0.))
    """
    if log_weights.isnan().any() or (log_weights == math.inf).any():
        raise ValueError("log_weights must be finite or -inf, got nan or inf")
    if log_weights.shape[-1] == 0 or (log_weights == -math.inf).all(-1).any():
        raise ValueError("log_weights must have a weight above zero in every row, got none")
    rows = log_weights.double().reshape(-1, log_weights.shape[-1])
    smoothed, khat = zip(*(_smooth(row) for row in rows), strict=True)
    return (
        torch.stack(smoothed).reshape(log_weights.shape).to(log_weights),
        torch.tensor(khat, dtype=torch.float64).reshape(log_weights.shape[:-1]).to(log_weights),
    )


def _smooth(log_weights: Float[Tensor, " n"]) -> tuple[Float[Tensor, " n"], float]:
    """Return smoothed, normalised log weights and k-hat of one row, in float64."""
    n = len(log_weights)
    x = log_weights - log_weights.max()
    size = math.ceil(min(n / 5, 3 * math.sqrt(n)))
    weights = x.exp()
    threshold = weights.sort(descending=True).values[min(size, n - 1)]
    if threshold == 1:
        return x.log_softmax(0), 0.0
    threshold = threshold.clamp(min=torch.finfo(x.dtype).tiny)
    largest = torch.where(weights > threshold)[0]
    if len(largest) < 5:
        return x.log_softmax(0), math.inf
    order = largest[weights[largest].argsort()]
    shape, scale = _fit(weights[order] - threshold)
    if not math.isfinite(shape):  # most of them are hardly numbers
        return x.log_softmax(0), math.inf
    quantile = (torch.arange(len(order), dtype=x.dtype, device=x.device) + 0.5) / len(order)
    _, tie, sizes = weights[order].unique_consecutive(return_inverse=True, return_counts=True)
    expected = (_quantile(quantile, shape, scale) + threshold).clamp(max=1.0)
    means = torch.zeros_like(sizes, dtype=x.dtype).index_add(0, tie, expected) / sizes
    x[order] = means.log()[tie]
    return x.log_softmax(0), shape


def _fit(excess: Float[Tensor, " m"]) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution of sorted, positive values.

    The posterior mean of Zhang and Stephens under their data-dependent prior, on a grid; the shape
    is drawn to 1/2 as if by ten more values, as Vehtari et al. do.
    """
    m = len(excess)
    points = 30 + math.isqrt(m)
    grid = torch.arange(1, points + 1, dtype=excess.dtype, device=excess.device)
    quartile = excess[math.floor(m / 4 + 0.5) - 1]
    b = (1 - torch.sqrt(points / (grid - 0.5))) / (3 * quartile) + 1 / excess[-1]
    shapes = torch.log1p(-b[:, None] * excess).mean(1)
    posterior = (m * (torch.log(-b / shapes) - shapes)).softmax(0)  # of the profile likelihood
    mean = (b * posterior).sum()
    shape = torch.log1p(-mean * excess).mean()
    scale = -shape / mean
    return (m * shape.item() + 5) / (m + 10), scale.item()


def _quantile(probability: Tensor, shape: float, scale: float) -> Tensor:
    """Return quantiles of a generalised Pareto distribution."""
    if shape == 0:
        return -scale * torch.log1p(-probability)
    return scale * torch.expm1(-shape * torch.log1p(-probability)) / shape
