"""Taylor series: ordinary differential equations whose right-hand side is a polynomial.

Around any time t the solution is u(t + h) = c_0 + c_1 h + c_2 h^2 + ..., and the equation
du/dt = f(u) gives its coefficients one after the other, c_(k+1) = f_k / (k + 1), where f_k is the
k-th coefficient of f(u). That of a product is a convolution, (a b)_k = sum_j a_j b_(k-j), so that
polynomials need no derivative. Every row of a batch takes its own steps, as long as the last two
terms of the series are below a relative tolerance of every component:

    h = min over components of (tolerance |c_0| / |c_k|)^(1/k),    k = order, order - 1.

Below 1e-200 the tolerance is absolute, so that what dies out may underflow.

References:
    Jorba & Zou, A software package for the numerical integration of ODEs by means of high-order
    Taylor methods, Experimental Mathematics 14, 2005.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ORDER = 20
TOLERANCE = 1e-9
MOST_STEPS = 5_000  # between two times; solutions that need more run to infinity, and become NaN

# Theta (n, D) and coefficients 0 to k of the states (k + 1, S, n), to coefficient k of du/dt (S, n)
Slope = Callable[[Tensor, Tensor], Tensor]


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return coefficient k of a product from coefficients 0 to k of its factors.

    Args:
        a: The coefficients of one factor, (k + 1, n).
        b: Those of the other.

    Example:
        >>> ones = torch.ones(3, 1)  # 1 + h + h^2, whose square has 3 h^2
        >>> product(ones, ones)
        tensor([3.])
    """
    return (a * b.flip(0)).sum(dim=0)


def solve(slope: Slope, theta: Tensor, start: Tensor, times: Sequence[float]) -> Tensor:
    """Return the solution at times, (n, S, T), in float64; differentiable in theta and start.

    The steps are constants in differentiation. Rows that cannot be solved are NaN from there on.

    Args:
        slope: The equations.
        theta: Their parameters, (n, D).
        start: The states at the first time, (n, S).
        times: The T times, increasing.

    Example:
        >>> decay = lambda theta, u: -theta.T * u[-1]
        >>> solve(decay, torch.tensor([[1.0]]), torch.tensor([[1.0]]), [0.0, 1.0, 2.0])
        tensor([[[1.0000, 0.3679, 0.1353]]])
    """
    theta, u = theta.double(), start.double().T
    path = [u]
    for earlier, later in zip(times[:-1], times[1:], strict=True):
        left = torch.full_like(u[0].detach(), later - earlier)
        going = torch.arange(len(theta))
        for _ in range(MOST_STEPS):
            series = _series(slope, theta[going], u[:, going])
            h = torch.minimum(_step(series.detach()), left[going])
            u = u.index_copy(1, going, _value(series, h))
            left[going] -= h
            going = going[left[going] > 0]
            if len(going) == 0:
                break
        else:
            u = u.index_fill(1, going, torch.nan)
        path.append(u)
    return torch.stack(path, dim=-1).transpose(0, 1)


def _series(slope: Slope, theta: Tensor, u: Tensor) -> Tensor:
    """Return the Taylor coefficients, (S, n) to (ORDER + 1, S, n)."""
    terms = [u]
    for k in range(ORDER):
        terms.append(slope(theta, torch.stack(terms)) / (k + 1))
    return torch.stack(terms)


def _step(series: Tensor) -> Tensor:
    """Return how far the series may be trusted, (n,)."""
    allowed = TOLERANCE * series[0].abs().clamp(min=1e-200)
    reach = [(allowed / series[k].abs()) ** (1 / k) for k in (ORDER, ORDER - 1)]
    return torch.stack(reach).amin(dim=(0, 1))


def _value(series: Tensor, h: Tensor) -> Tensor:
    """Return the series at h by Horner's rule, (S, n)."""
    value = series[-1]
    for term in series[:-1].flip(0):
        value = value * h + term
    return value
