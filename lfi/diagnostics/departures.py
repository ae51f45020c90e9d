"""How posteriors depart from calibration, in words: bias and width of each parameter.

The posterior mass u below the true value is uniform where the posterior is right, so that z =
Phi^-1(u) is a standard normal: by how many of the posterior's standard deviations the truth lies
above its middle. Of posteriors too low by b and too narrow by a factor c, z is b c + c N(0, 1):

    median of z              how far the posterior lies below the true values, if positive
    quartiles of z / 1.349   how many times as wide as the posterior the true values spread

Quantiles are not moved by the few truths that lie beyond all samples. What is within three standard
errors of right is not told.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

QUARTILES = 1.349  # their distance, of a standard normal
MEDIAN_ERROR, WIDTH_ERROR = 1.2533, 1.1664  # standard errors times sqrt(n), of a standard normal
MIN_ERRORS = 3.0
LEVELS = (0.5, 0.9)  # of regions, of which the share that hold the truth is told


@dataclass(frozen=True)
class Departure:
    """How a posterior differs from the true values: `words`, and whether it is overconfident."""

    words: str
    overconfident: bool


def parameter_departure(u: Float[Tensor, " m"], ess: float) -> Departure:
    """Return what the ranks u of one parameter say of bias and width.

    Example:
        >>> u = (torch.arange(1000.0) + 0.5) / 1000
        >>> exact = torch.distributions.Normal(0.0, 1.0)
        >>> parameter_departure(exact.cdf(2 * exact.icdf(u)), ess=1000.0).words
        'too narrow (true values spread 2.00 times as wide)'
    """
    edge = 0.5 / (1 + ess)  # beyond all samples
    z = torch.special.ndtri(u.double().clamp(edge, 1 - edge))
    low, middle, high = z.quantile(z.new_tensor([0.25, 0.5, 0.75])).tolist()
    spread = max((high - low) / QUARTILES, 1e-3)
    more = " or more" if max(-low, high) >= -float(torch.special.ndtri(z.new_tensor(edge))) else ""
    parts, root = [], len(z) ** 0.5
    if abs(middle) > MIN_ERRORS * MEDIAN_ERROR * spread / root:
        parts.append(f"biased {'low' if middle > 0 else 'high'} (by {abs(middle):.2f} sd)")
    if abs(spread - 1) > MIN_ERRORS * WIDTH_ERROR * max(spread, 1.0) / root:
        which = "narrow" if spread > 1 else "wide"
        parts.append(f"too {which} (true values spread {spread:.2f}{more} times as wide)")
    words = " and ".join(parts) or "of another shape than the true values"
    return Departure(words, overconfident=bool(parts) and "too wide" not in words)


def coverage_departure(credibility: Float[Tensor, " m"]) -> Departure:
    """Return what the levels of the regions that hold the truth say of regions' sizes.

    Example:
        >>> coverage_departure((torch.arange(1000.0) + 0.5).div(1000).sqrt()).words
        'regions too small (50% regions hold 25% of the true values)'
    """
    shares = {level: float((credibility <= level).double().mean()) for level in LEVELS}
    level = max(LEVELS, key=lambda p: abs(shares[p] - p) / (p * (1 - p)) ** 0.5)
    small = shares[level] < level
    words = (
        f"regions too {'small' if small else 'large'} ({level:.0%} regions hold "
        f"{shares[level]:.0%} of the true values)"
    )
    return Departure(words, overconfident=small)


def what_to_do(overconfident: bool) -> str:
    """Return what mends a posterior that is not calibrated, what helps most often first.

    Example:
        >>> what_to_do(overconfident=False).partition(",")[0]
        'fit to more simulations near the observation (lfi.fit_rounds'
    """
    other = "or take another method (method=lfi.SurrogateLikelihood(), lfi.NeuralRatio(members=4))"
    if overconfident:
        return (
            f"fit to more simulations (a larger budget), which mends overconfidence first; {other}"
        )
    return f"fit to more simulations near the observation (lfi.fit_rounds, more rounds); {other}"
